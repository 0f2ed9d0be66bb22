// A store that fails in front of one that works: answers that get lost, refusals, a full disk,
// reads that cannot be made now, and an outbox whose rows become visible out of the order of their
// ids. Whoever commits through it may be killed at that very moment.
#ifndef TANDEM_TESTS_SIMULATION_FAULT_STORE_H_
#define TANDEM_TESTS_SIMULATION_FAULT_STORE_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/process.h"
#include "tests/simulation/weather.h"

namespace tandem::simulation {

// Which rows of a service's outbox nobody sees yet, as if the transaction that wrote them were
// still under way: what PostgreSQL makes possible and no more. All rows of one commit are hidden
// and shown together. An outbox id is drawn when all other lines of its batch are locked
// (common/store/lock_order.h), and a check locks as a write does: who comes to a row that a hidden
// commit has checked or written has waited for it, and draws its ids after it was seen. So only
// commits that share no row overtake each other. One thread.
class Veil {
 public:
  explicit Veil(const time::Clock* clock) : clock_(clock) {}
  // The rows of the outbox that `batch` has added to the database behind `reader`, until then.
  void Hide(const std::vector<store::Write>& batch, store::Reader& reader, absl::Time until);
  // Before `batch` is committed: shows what it must have seen.
  void Show(const std::vector<store::Write>& batch);
  bool Hides(int64_t outbox_id) const;
  bool empty() const { return hidden_.empty(); }

 private:
  struct Hidden {
    absl::Time until;
    std::set<int64_t> outbox_ids;
    std::set<std::pair<std::string, std::string>> rows;  // checked or written, by table and key
  };
  const time::Clock* const clock_;
  std::vector<Hidden> hidden_;
};

// The database of one service, whoever uses it. One thread.
struct Database {
  Service service = kIntake;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Veil> veil;
};

// The database as one thread of one process sees it.
class FaultStore : public store::Store {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;  // the scheduler's
    Database* database = nullptr;
    Process* process = nullptr;
    ProcessExecutor* executor =
        nullptr;  // on which it commits; stands still while the store is slow
    Weather* weather = nullptr;
    // Told of what was applied, before anybody is answered.
    std::function<void(const std::vector<store::Write>&)> committed;
  };
  explicit FaultStore(Ports ports);

  store::CommitResult Commit(const std::vector<store::Write>& batch) override;
  store::Reader& reader() override { return *reader_; }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override;
  bool is_shared() const override { return ports_.database->store->is_shared(); }
  std::string_view SkipLocked() const override { return ports_.database->store->SkipLocked(); }

 private:
  class FaultReader;

  const Ports ports_;
  std::unique_ptr<store::Reader> reader_;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_FAULT_STORE_H_
