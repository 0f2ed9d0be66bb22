#include "common/testing/ledger.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/store/record.h"

namespace tandem::testing {
namespace {

using corridor::Decision;
using corridor::FiredTimer;
using corridor::Inputs;
using corridor::View;

const store::Table<Box>& Boxes() {
  static const store::Table<Box>* const table = new store::Table<Box>(
      "boxes", {{"balance", [](const Box& box) { return store::Value(box.balance()); }},
                {"taken", [](const Box& box) {
                   return store::Value(int64_t{box.taken_by().empty() ? 0 : 1});
                 }}});
  return *table;
}

const store::Table<Entry>& Entries() {
  static const store::Table<Entry>* const table = new store::Table<Entry>("entries", {});
  return *table;
}

store::Schema LedgerSchema() {
  store::Migration step;
  step.number = 1;
  step.name = "001_ledger.sqlite.sql";
  step.sql =
      "CREATE TABLE boxes (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL, "
      "balance INTEGER, taken INTEGER);"
      "CREATE TABLE entries (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL);";
  return {"ledger", {step}};
}

absl::StatusOr<Box> LoadBox(View& view, const std::string& box_id, int64_t* version = nullptr) {
  auto box = view.Load(Boxes(), box_id);
  if (!box.ok()) return box.status();
  if (version != nullptr) *version = box->version;
  if (*box) return **box;
  Box fresh;
  fresh.set_box_id(box_id);
  return fresh;
}

absl::StatusOr<Decision> Grow(View& view, const Inputs& in, const std::string& box_id,
                              int64_t amount, const std::function<void(Box&)>& also = nullptr) {
  auto box = LoadBox(view, box_id);
  if (!box.ok()) return box.status();
  box->set_balance(box->balance() + amount);
  if (also) also(*box);
  Decision decision;
  Added added;
  added.set_box_id(box_id);
  added.set_amount(amount);
  decision.Publish(box_id, box_id, in.now, std::move(added));
  decision.Save(Boxes(), box_id, *std::move(box));
  return decision;
}

absl::Status Fine(const google::protobuf::Message&) { return absl::OkStatus(); }

}  // namespace

std::unique_ptr<corridor::ServiceDefinition> MakeLedger(const LedgerOptions& options) {
  auto ledger = std::make_unique<corridor::ServiceDefinition>("ledger", LedgerSchema());
  ledger->OnCommand<AddRequest>(
      "tandem.testing.LedgerService/Add", Fine,
      [](const AddRequest& request, const Inputs& in, View& view) -> absl::StatusOr<Decision> {
        if (request.amount() == 0) {
          return corridor::FailedPrecondition("NOTHING_TO_ADD", "add something");
        }
        int64_t version = 0;
        auto box = LoadBox(view, request.box_id(), &version);
        if (!box.ok()) return box.status();
        if (request.of_warehouse() && version == 0) {
          return corridor::NotHeardOf("box", request.box_id());
        }
        if (!request.beside_box_id().empty()) {
          auto beside = view.Load(Boxes(), request.beside_box_id());
          if (!beside.ok()) return beside.status();
          if (!*beside) return corridor::NotHeardOf("box", request.beside_box_id());
        }
        if (box->balance() + request.amount() < 0) {
          return corridor::FailedPrecondition("OVERDRAWN", "there is not so much in it");
        }
        auto decision = Grow(view, in, request.box_id(), request.amount());
        if (!decision.ok()) return decision;
        AddResponse response;
        response.set_balance(box->balance() + request.amount());
        response.set_version(version + 1);
        response.set_entry_id(in.ids->Next("entry"));
        Entry entry;
        entry.set_box_id(request.box_id());
        entry.set_amount(request.amount());
        decision->Insert(Entries(), response.entry_id(), std::move(entry));
        decision->Reply(std::move(response));
        return decision;
      });
  ledger->OnCommand<TakeFullestRequest>(
      "tandem.testing.LedgerService/TakeFullest", Fine,
      [](const TakeFullestRequest&, const Inputs& in, View& view) -> absl::StatusOr<Decision> {
        auto found = view.Select(Boxes(), "WHERE taken = 0 ORDER BY balance DESC, key LIMIT 1", {});
        if (!found.ok()) return found.status();
        if (found->empty()) return corridor::FailedPrecondition("NONE_LEFT", "all are taken");
        Box box = *found->front();
        box.set_taken_by(std::string(in.caller));
        Decision decision;
        TakeFullestResponse response;
        response.set_box_id(box.box_id());
        decision.Save(Boxes(), box.box_id(), box);
        decision.Reply(std::move(response));
        return decision;
      });
  ledger->OnRepeat<TakeFullestRequest, TakeFullestResponse>(
      "tandem.testing.LedgerService/TakeFullest",
      [](const TakeFullestRequest&, const TakeFullestResponse& taken, const Inputs&,
         View& view) -> absl::StatusOr<TakeFullestResponse> {
        auto box = LoadBox(view, taken.box_id());
        if (!box.ok()) return box.status();
        return box->balance() == 0 ? TakeFullestResponse() : taken;
      });
  ledger->OnQuery<GetRequest, GetResponse>(
      "tandem.testing.LedgerService/Get", Fine,
      [](const GetRequest& request, const Inputs&, View& view) -> absl::StatusOr<GetResponse> {
        auto box = view.Load(Boxes(), request.box_id());
        if (!box.ok()) return box.status();
        if (!*box) {
          return request.of_warehouse() ? corridor::NotHeardOf("box", request.box_id())
                                        : corridor::NotFound("box", request.box_id());
        }
        GetResponse response;
        *response.mutable_box() = **box;
        response.set_version(box->version);
        return response;
      });
  ledger->OnCommand<AddAsToldRequest>(
      "tandem.testing.LedgerService/AddAsTold", Fine,
      [](const AddAsToldRequest& request, const Inputs& in,
         View& view) -> absl::StatusOr<Decision> {
        if (!in.answers->Has("told")) {
          auto question = std::make_shared<GetRequest>();
          question->set_box_id(request.box_id());
          Decision ask;
          ask.Ask({"told", "tandem.testing.LedgerService/Get", question});
          return ask;
        }
        auto told = in.answers->Get<GetResponse>("told");
        AddAsToldResponse response;
        response.set_told(told.ok());
        if (!told.ok()) {
          Decision nothing;
          nothing.ReplyForNow(std::move(response));
          return nothing;
        }
        auto decision = Grow(view, in, request.box_id(), (*told)->box().balance());
        if (!decision.ok()) return decision;
        response.set_balance((*told)->box().balance());
        decision->Reply(std::move(response));
        return decision;
      });
  ledger->OnCommand<AddLaterRequest>(
      "tandem.testing.LedgerService/AddLater", Fine,
      [](const AddLaterRequest& request, const Inputs&, View&) -> absl::StatusOr<Decision> {
        Decision decision;
        const std::string id = absl::StrCat(request.kind(), ":", request.box_id());
        if (request.cancel()) {
          decision.CancelTimer(id);
        } else {
          AddRequest payload;
          payload.set_box_id(request.box_id());
          payload.set_amount(1);
          decision.SetTimer(id, absl::FromUnixMicros(request.due_us()), request.kind(),
                            request.box_id(), std::move(payload));
        }
        decision.Reply(AddLaterResponse());
        return decision;
      });
  ledger->OnEvent<Added>([](const Added& added, const bus::Event& event, const Inputs& in,
                            View& view) -> absl::StatusOr<Decision> {
    if (event.source == "ledger") return Decision();
    if (added.poison()) return absl::InvalidArgumentError("poison");
    return Grow(view, in, added.box_id(), added.amount());
  });
  const auto fire = [](const FiredTimer&, const AddRequest& add, const Inputs& in, View& view) {
    return Grow(view, in, add.box_id(), add.amount(),
                [](Box& box) { box.set_timers_fired(box.timers_fired() + 1); });
  };
  ledger->OnTimer<AddRequest>("plain", corridor::Readiness::kWhenDue, fire);
  ledger->OnTimer<AddRequest>("bound", corridor::Readiness::kFactBound, fire,
                              [](const AddRequest& add) { return add.box_id(); });
  ledger->OnEffect<AddRequest>(
      "effect",
      [perform = options.perform](const FiredTimer&, std::shared_ptr<const AddRequest> add,
                                  absl::AnyInvocable<void(absl::Status)> done) {
        done(perform ? perform(add->box_id()) : absl::OkStatus());
      },
      [](const FiredTimer&, const AddRequest& add, const absl::Status&, const Inputs& in,
         View& view) {
        return Grow(view, in, add.box_id(), add.amount(),
                    [](Box& box) { box.set_effects_done(box.effects_done() + 1); });
      });
  ledger->OnParking([](const bus::Event& event, bool parked, const Inputs&,
                       View& view) -> absl::StatusOr<Decision> {
    auto box = LoadBox(view, event.subject);
    if (!box.ok()) return box.status();
    if (box->balance() < 0) return corridor::FailedPrecondition("OVERDRAWN", "it owes something");
    box->set_is_parked(parked);
    Decision decision;
    decision.Save(Boxes(), event.subject, *std::move(box));
    return decision;
  });
  ledger->Follows<DescribeRequest>("box", "tandem.testing.WarehouseService/Describe");
  ledger->RestsOn<AddRequest>("tandem.testing.LedgerService/Add",
                              [](const AddRequest& request) { return request.box_id(); });
  ledger->RestsOn<GetRequest>("tandem.testing.LedgerService/Get", [](const GetRequest& request) {
    return request.complete() ? request.box_id() : std::string();
  });
  ledger->Export(
      {"tandem_testing_boxes",
       "Boxes.",
       {"taken"},
       "SELECT CASE taken WHEN 1 THEN 'yes' ELSE 'no' END, COUNT(*) FROM boxes GROUP BY 1"});
  return ledger;
}

}  // namespace tandem::testing
