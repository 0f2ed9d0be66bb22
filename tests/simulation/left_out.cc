#include "tests/simulation/left_out.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/account_health/records.pb.h"
#include "services/ticket_intake/records.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {
namespace {

namespace ev = events::v1;
namespace ty = type::v1;

// Why a ticket is left out from some instant on; empty = it is not.
struct Change {
  absl::Time known_at;  // to the service in question
  std::string why;
};

class LeftOut {
 public:
  explicit LeftOut(World& world) : world_(world) {
    for (const bus::RecordPtr& record : world.ledger().published) {
      records_[record->event.id] = record.get();
    }
  }

  void NobodyIsAsked() {
    std::map<std::string, std::vector<Change>> changes;  // by ticket
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.service != kIntake) continue;
      std::string why;
      if (IsA<ev::TicketOpened>(event)) {
        why = WhyLeftOut(BodyAs<ev::TicketOpened>(event));
      } else if (IsA<ev::TicketUpdated>(event)) {
        why = WhyLeftOut(BodyAs<ev::TicketUpdated>(event));
      } else if (IsA<ev::TicketClosed>(event) &&
                 BodyAs<ev::TicketClosed>(event).reason() == ty::CLOSE_REASON_SPAM) {
        why = "spam";
      } else {
        continue;
      }
      left_out_[event.subject] = why;
      const auto record = records_.find(event.id);
      if (record == records_.end()) continue;
      changes[event.subject].push_back(
          {world_.watch().KnownSince(kSurvey, record->second->event), why});
    }
    for (const CommittedEvent& event : world_.ledger().committed) {
      if (event.service != kSurvey) continue;
      if (IsA<ev::SurveyInvited>(event)) {
        Asked(event, BodyAs<ev::SurveyInvited>(event).survey().ticket_id(), changes);
      } else if (IsA<ev::SurveyReminded>(event)) {
        Asked(event, BodyAs<ev::SurveyReminded>(event).survey().ticket_id(), changes);
      }
    }
  }

  void HealthCountsTheRest() {
    if (world_.Number(kAccount, "SELECT COUNT(*) FROM dead_letters") > 0) return;
    struct Counts {
      int64_t unresolved = 0, missed = 0, reopened = 0;
      bool operator==(const Counts&) const = default;
    };
    std::map<std::string, Counts> should, has;  // by account
    std::map<std::string, ticket_intake::records::TicketRecord> tickets;
    Each<ticket_intake::records::TicketRecord>(
        kIntake, "SELECT key, body FROM tickets",
        [&](const std::string& key, const auto& record) { tickets[key] = record; });
    Each<account_health::records::TicketRecord>(
        kAccount, "SELECT key, body FROM tickets", [&](const std::string& key, const auto& known) {
          const auto found = tickets.find(key);
          if (found == tickets.end()) return;
          const intake::v1::Ticket& ticket = found->second.ticket();
          if (ticket.account_id().empty() || !left_out_[key].empty()) return;
          Counts& counts = should[ticket.account_id()];
          const bool is_unresolved = ticket.state() == ty::TICKET_STATE_NEW ||
                                     ticket.state() == ty::TICKET_STATE_OPEN ||
                                     ticket.state() == ty::TICKET_STATE_PENDING ||
                                     ticket.state() == ty::TICKET_STATE_ON_HOLD;
          counts.unresolved += is_unresolved;
          counts.missed += known.breaches_size();
          counts.reopened += known.reopened_us_size();
        });
    Each<account_health::records::HealthRecord>(
        kAccount, "SELECT key, body FROM health",
        [&](const std::string& account, const auto& health) {
          Counts& counts = has[account];
          for (const int32_t count : health.unresolved()) counts.unresolved += count;
          for (const auto& hour : health.missed()) counts.missed += hour.count();
          for (const auto& hour : health.reopened()) counts.reopened += hour.count();
        });
    for (const auto& [account, counts] : has) {
      const Counts& rest = should[account];
      if (counts == rest) continue;
      Fail(absl::StrCat("health of ", account, " counts ", counts.unresolved, " unresolved, ",
                        counts.missed, " missed, ", counts.reopened,
                        " reopened; without what is left out there are ", rest.unresolved, ", ",
                        rest.missed, ", ", rest.reopened));
    }
  }

 private:
  template <typename E>
  static std::string WhyLeftOut(const E& event) {
    return event.internal() ? "internal" : event.suspected_spam() ? "suspected spam" : "";
  }

  void Asked(const CommittedEvent& event, const std::string& ticket_id,
             const std::map<std::string, std::vector<Change>>& changes) {
    const auto found = changes.find(ticket_id);
    if (found == changes.end()) return;
    std::string why;
    for (const Change& change : found->second) {
      if (change.known_at < event.committed_at) why = change.why;
    }
    if (why.empty()) return;
    Fail(absl::StrCat("survey ", event.subject, ": somebody is asked about ticket ", ticket_id,
                      ", which is known to be ", why));
  }

  template <typename M, typename Visit>
  void Each(Service service, const std::string& sql, Visit visit) {
    const absl::Status status =
        world_.reader(service).Query({sql, {}}, [&](const store::RowView& row) {
          M record;
          const std::string_view bytes = row.Text(1);
          record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
          visit(std::string(row.Text(0)), record);
        });
    if (!status.ok()) Fail(absl::StrCat(sql, ": ", std::string(status.message())));
  }
  void Fail(std::string message) { world_.ledger().Fail(std::move(message), Witness::kInvariants); }

  World& world_;
  absl::flat_hash_map<std::string, const bus::Record*> records_;  // on the bus, by event
  // Why, as it was told last, by ticket. A ticket that is closed unreviewed stays suspected, though
  // nobody has to review it any more.
  std::map<std::string, std::string> left_out_;
};

}  // namespace

void CheckLeftOut(World& world) {
  LeftOut look(world);
  look.NobodyIsAsked();
  look.HealthCountsTheRest();
}

}  // namespace tandem::simulation
