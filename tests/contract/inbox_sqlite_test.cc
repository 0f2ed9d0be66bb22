#include "tests/contract/inbox_contract.h"
#include "tests/contract/sqlite_grounds.h"

namespace tandem::contract {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, InboxContract, SqliteEngines(), EngineName);

}  // namespace
}  // namespace tandem::contract
