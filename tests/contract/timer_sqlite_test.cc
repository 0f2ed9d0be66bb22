#include "tests/contract/sqlite_grounds.h"
#include "tests/contract/timer_contract.h"

namespace tandem::contract {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, TimerContract, SqliteEngines(), EngineName);

}  // namespace
}  // namespace tandem::contract
