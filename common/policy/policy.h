// The versions of a service's policy. A version is never changed; applying another one puts it in
// force from its commit on, and every decision names the version that it used. The policy in force
// is loaded like any other record, so a decision that relied on it is checked against a change;
// what is made of it (compiled patterns, tables) is kept by version.
//
//   using Policies = policy::Book<v1::IntakePolicy, Rules>;
//   Policies book({"intake", DefaultPolicy(), [](const v1::IntakePolicy& p, corridor::Violations&
//   v) {…}}); auto current = book.Current(view);   // current->made, current->ref
#ifndef TANDEM_COMMON_POLICY_POLICY_H_
#define TANDEM_COMMON_POLICY_POLICY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/corridor/canonical.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/errors.h"
#include "common/corridor/view.h"
#include "common/policy/outlook.h"
#include "common/policy/policy.pb.h"
#include "common/store/record.h"
#include "google/protobuf/message.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::policy {

// The records, in the corridor's table of policies.
const store::Table<StoredPolicy>& Stored();
// Key of a version: numbers sort as text.
std::string VersionKey(int64_t version);
// The same policy has the same hash.
std::string ContentHash(const std::string& canonical_bytes);
// The event that tells of it.
void PublishApplied(const std::string& kind, const StoredPolicy& stored, absl::Time now,
                    corridor::Decision& decision);
// Versions below `before` (0 = all), newest first.
absl::StatusOr<std::vector<StoredPolicy>> ListVersions(corridor::View& view, int64_t before,
                                                       int limit);

// P is the policy's message, Made what is made of a sound one. Any thread.
template <typename P, typename Made>
class Book {
 public:
  using Make = std::function<std::shared_ptr<const Made>(const P&, corridor::Violations&)>;
  struct InForce {
    std::shared_ptr<const Made> made;
    type::v1::PolicyRef ref;  // kind and version; the rule is the decision's to name
  };
  // A sound policy beside the one that it would replace.
  struct Proposal {
    const P& before;
    const Made& made_before;
    const P& after;
    const Made& made_after;
    int64_t version = 0;  // that `after` would get
    const Book& book;     // for older versions, by which things still go
  };
  // Looks ahead: what becomes of what is there, and which of it is in use and would be gone. Asked
  // whenever a policy is validated or applied that is not in force already, with a bounded number
  // of questions to the view.
  using Weigh = std::function<absl::Status(const Proposal&, const corridor::Inputs&,
                                           corridor::View&, Outlook&)>;
  // Runs in the deciding commit of a new version, after it is in force.
  using OnApplied = std::function<absl::Status(const InForce&, const corridor::Inputs&,
                                               corridor::View&, corridor::Decision&)>;

  // `built_in` is in force as version 0 until one is applied, and has to be sound. `make` names
  // every problem of a policy; its result counts only if it named none.
  Book(std::string kind, P built_in, Make make, Weigh weigh = nullptr,
       OnApplied on_applied = nullptr)
      : kind_(std::move(kind)),
        built_in_(std::move(built_in)),
        make_(std::move(make)),
        weigh_(std::move(weigh)),
        on_applied_(std::move(on_applied)) {}

  // OK if the built-in policy is sound: for a test.
  absl::Status CheckBuiltIn() const {
    corridor::Violations violations;
    make_(built_in_, violations);
    return violations.status();
  }

  absl::StatusOr<InForce> Current(corridor::View& view) const { return Load(view, "current"); }
  // An older version, for what began under it. NOT_FOUND.
  absl::StatusOr<InForce> At(corridor::View& view, int64_t version) const {
    if (version == 0) return Keep(0, "", built_in_);
    absl::StatusOr<InForce> found = Load(view, VersionKey(version));
    if (found.ok() && found->ref.version() != version) {
      return corridor::NotFound("policy version", absl::StrCat(kind_, " ", version));
    }
    return found;
  }

  // Binds ValidatePolicy, ApplyPolicy, GetPolicy and ListPolicies of `service`
  // ("tandem.intake.v1.PolicyService"), whose messages have the same fields in every package. The
  // book outlives the definition.
  template <typename ValidateRequest, typename ValidateResponse, typename ApplyRequest,
            typename ApplyResponse, typename GetRequest, typename GetResponse, typename ListRequest,
            typename ListResponse>
  void Bind(const std::string& service, corridor::ServiceDefinition& definition) const {
    definition.OnQuery<ValidateRequest, ValidateResponse>(
        absl::StrCat(service, "/ValidatePolicy"),
        [this](const ValidateRequest& request) { return Check(request.policy()); },
        [this](const ValidateRequest& request, const corridor::Inputs& in,
               corridor::View& view) -> absl::StatusOr<ValidateResponse> {
          absl::StatusOr<Considered> considered = Consider(request.policy(), in, view);
          if (!considered.ok()) return considered.status();
          ValidateResponse response;
          response.set_content_hash(considered->next.content_hash());
          *response.mutable_effects() = considered->outlook.effects();
          return response;
        });
    definition.OnCommand<ApplyRequest>(
        absl::StrCat(service, "/ApplyPolicy"),
        [this](const ApplyRequest& request) { return Check(request.policy()); },
        [this](const ApplyRequest& request, const corridor::Inputs& in, corridor::View& view) {
          return Apply<ApplyRequest, ApplyResponse>(request, in, view);
        });
    definition.OnQuery<GetRequest, GetResponse>(
        absl::StrCat(service, "/GetPolicy"),
        [](const GetRequest& request) {
          corridor::Violations violations;
          violations.Range("version", request.version(), 0, INT64_MAX);
          return violations.status();
        },
        [this](const GetRequest& request, const corridor::Inputs&, corridor::View& view) {
          return Get<GetRequest, GetResponse>(request, view);
        });
    definition.OnQuery<ListRequest, ListResponse>(
        absl::StrCat(service, "/ListPolicies"),
        [](const ListRequest& request) {
          corridor::Violations violations;
          violations.PageSize(request.page_size(), 500);
          int64_t before = 0;
          violations.Require(
              request.page_token().empty() || absl::SimpleAtoi(request.page_token(), &before),
              "page_token", "is no token of this list");
          return violations.status();
        },
        [](const ListRequest& request, const corridor::Inputs&,
           corridor::View& view) -> absl::StatusOr<ListResponse> {
          const int size = request.page_size() == 0 ? 50 : request.page_size();
          int64_t before = 0;
          if (!absl::SimpleAtoi(request.page_token(), &before)) before = 0;
          absl::StatusOr<std::vector<StoredPolicy>> versions = ListVersions(view, before, size + 1);
          if (!versions.ok()) return versions.status();
          ListResponse response;
          for (const StoredPolicy& stored : *versions) {
            if (response.versions_size() == size) {
              response.set_next_page_token(absl::StrCat(response.versions(size - 1).version()));
              break;
            }
            Describe(stored, response.add_versions());
          }
          return response;
        });
  }

 private:
  absl::Status Check(const P& policy) const {
    corridor::Violations violations;
    make_(policy, violations);
    return violations.status();
  }

  template <typename Version>
  static void Describe(const StoredPolicy& stored, Version* version) {
    version->set_version(stored.version());
    version->set_applied_by(stored.applied_by());
    version->set_content_hash(stored.content_hash());
    if (stored.version() == 0) return;
    version->mutable_applied_at()->set_seconds(stored.applied_at_us() / 1'000'000);
    version->mutable_applied_at()->set_nanos(
        static_cast<int32_t>(stored.applied_at_us() % 1'000'000 * 1000));
  }

  absl::StatusOr<InForce> Load(corridor::View& view, const std::string& key) const {
    absl::StatusOr<corridor::Loaded<StoredPolicy>> stored = view.Load(Stored(), key);
    if (!stored.ok()) return stored.status();
    if (!*stored) return Keep(0, "", built_in_);
    {
      absl::MutexLock lock(&mutex_);
      const auto it = kept_.find({(*stored)->version(), (*stored)->content_hash()});
      if (it != kept_.end()) return it->second;
    }
    P policy;
    if (!policy.ParseFromString((*stored)->body())) {
      return absl::DataLossError(absl::StrCat("policy ", kind_, " is broken in the database"));
    }
    return Keep((*stored)->version(), (*stored)->content_hash(), policy);
  }

  // By content too: a commit that was lost may have made another version of the same number.
  absl::StatusOr<InForce> Keep(int64_t version, const std::string& content_hash,
                               const P& policy) const {
    absl::MutexLock lock(&mutex_);
    const auto it = kept_.find({version, content_hash});
    if (it != kept_.end()) return it->second;
    corridor::Violations violations;
    InForce in_force;
    in_force.made = make_(policy, violations);
    if (!violations.ok()) {
      // It was sound when it was applied: this binary asks for more than the one that applied it.
      return absl::InternalError(
          absl::StrCat("policy ", kind_, " version ", version,
                       " is not sound any more: ", std::string(violations.status().message())));
    }
    in_force.ref.set_kind(kind_);
    in_force.ref.set_version(version);
    if (kept_.size() > 100) kept_.clear();
    return kept_.emplace(std::make_pair(version, content_hash), std::move(in_force)).first->second;
  }

  // A policy as it would be stored, and what that would do.
  struct Considered {
    int64_t current = 0;   // the version in force
    bool is_news = false;  // another content than that one's
    StoredPolicy next;     // without who and when
    Outlook outlook;       // empty unless is_news
  };

  absl::StatusOr<Considered> Consider(const P& policy, const corridor::Inputs& in,
                                      corridor::View& view) const {
    absl::StatusOr<corridor::Loaded<StoredPolicy>> current = view.Load(Stored(), "current");
    if (!current.ok()) return current.status();
    Considered considered;
    considered.current = *current ? (*current)->version() : 0;
    considered.next.set_body(corridor::CanonicalBytes(policy));
    considered.next.set_content_hash(ContentHash(considered.next.body()));
    considered.next.set_version(considered.current + 1);
    considered.is_news = !*current || (*current)->content_hash() != considered.next.content_hash();
    if (!considered.is_news || !weigh_) return considered;
    P before = built_in_;
    if (*current && !before.ParseFromString((*current)->body())) {
      return absl::DataLossError(absl::StrCat("policy ", kind_, " is broken in the database"));
    }
    absl::StatusOr<InForce> made_before = Load(view, "current");
    if (!made_before.ok()) return made_before.status();
    absl::StatusOr<InForce> made_after =
        Keep(considered.next.version(), considered.next.content_hash(), policy);
    if (!made_after.ok()) return made_after.status();
    const Proposal proposal{
        before, *made_before->made, policy, *made_after->made, considered.next.version(), *this};
    absl::Status weighed = weigh_(proposal, in, view, considered.outlook);
    if (!weighed.ok()) return weighed;
    return considered;
  }

  template <typename ApplyRequest, typename ApplyResponse>
  absl::StatusOr<corridor::Decision> Apply(const ApplyRequest& request, const corridor::Inputs& in,
                                           corridor::View& view) const {
    absl::StatusOr<Considered> considered = Consider(request.policy(), in, view);
    if (!considered.ok()) return considered.status();
    corridor::Decision decision;
    ApplyResponse response;
    *response.mutable_effects() = considered->outlook.effects();
    if (!considered->is_news || request.validate_only()) {
      response.set_version(considered->current);
      decision.Reply(std::move(response));
      return decision;
    }
    if (absl::Status refused = considered->outlook.status(); !refused.ok()) return refused;
    StoredPolicy& stored = considered->next;
    stored.set_applied_by(std::string(in.caller));
    stored.set_applied_at_us(absl::ToUnixMicros(in.now));
    absl::StatusOr<InForce> in_force =
        Keep(stored.version(), stored.content_hash(), request.policy());
    if (!in_force.ok()) return in_force.status();
    decision.Save(Stored(), "current", stored);
    decision.Insert(Stored(), VersionKey(stored.version()), stored);
    PublishApplied(kind_, stored, in.now, decision);
    if (on_applied_) {
      absl::Status status = on_applied_(*in_force, in, view, decision);
      if (!status.ok()) return status;
    }
    response.set_version(stored.version());
    response.set_is_new(true);
    decision.Reply(std::move(response));
    return decision;
  }

  template <typename GetRequest, typename GetResponse>
  absl::StatusOr<GetResponse> Get(const GetRequest& request, corridor::View& view) const {
    absl::StatusOr<corridor::Loaded<StoredPolicy>> stored = view.Load(
        Stored(), request.version() == 0 ? std::string("current") : VersionKey(request.version()));
    if (!stored.ok()) return stored.status();
    GetResponse response;
    if (!*stored) {
      if (request.version() != 0) {
        return corridor::NotFound("policy version", absl::StrCat(kind_, " ", request.version()));
      }
      response.mutable_version()->set_content_hash(
          ContentHash(corridor::CanonicalBytes(built_in_)));
      *response.mutable_policy() = built_in_;
      return response;
    }
    Describe(**stored, response.mutable_version());
    if (!response.mutable_policy()->ParseFromString((*stored)->body())) {
      return absl::DataLossError(absl::StrCat("policy ", kind_, " is broken in the database"));
    }
    return response;
  }

  const std::string kind_;
  const P built_in_;
  const Make make_;
  const Weigh weigh_;
  const OnApplied on_applied_;
  mutable absl::Mutex mutex_;
  mutable std::map<std::pair<int64_t, std::string>, InForce> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_POLICY_H_
