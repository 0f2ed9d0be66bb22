#include "services/tandemctl/linked_protos.h"

#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/health_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/admin/v1/admin_service.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/policy.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/policy_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/calendar.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tandem/survey/v1/survey_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::tandemctl {

std::vector<const google::protobuf::FileDescriptor*> LinkedFiles() {
  return {
      account::v1::Account::descriptor()->file(),
      account::v1::GetHealthRequest::descriptor()->file(),
      account::v1::CheckOutreachRequest::descriptor()->file(),
      account::v1::PolicyVersion::descriptor()->file(),
      admin::v1::GetStatusRequest::descriptor()->file(),
      events::v1::AccountRegistered::descriptor()->file(),
      events::v1::TicketOpened::descriptor()->file(),
      events::v1::PolicyApplied::descriptor()->file(),
      events::v1::SlaMet::descriptor()->file(),
      events::v1::SurveyInvited::descriptor()->file(),
      events::v1::TicketTriaged::descriptor()->file(),
      intake::v1::PolicyVersion::descriptor()->file(),
      intake::v1::Ticket::descriptor()->file(),
      sla::v1::Calendar::descriptor()->file(),
      sla::v1::PolicyVersion::descriptor()->file(),
      sla::v1::ClockStatus::descriptor()->file(),
      survey::v1::PolicyVersion::descriptor()->file(),
      survey::v1::Survey::descriptor()->file(),
      triage::v1::PolicyVersion::descriptor()->file(),
      triage::v1::Staff::descriptor()->file(),
      triage::v1::Escalation::descriptor()->file(),
  };
}

std::vector<const google::protobuf::ServiceDescriptor*> LinkedServices() {
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const google::protobuf::FileDescriptor* file : LinkedFiles()) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  return services;
}

}  // namespace tandem::tandemctl
