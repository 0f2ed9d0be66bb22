// main() of the programs that test over a PostgreSQL server. ctest starts the server for all of
// them; run by hand, each starts one of its own.
#include "gtest/gtest.h"
#include "tests/integration/postgres_server.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!testing::GTEST_FLAG(list_tests) && tandem::store::PostgresServer::Shared() == nullptr) {
    // ctest reads this status as "skipped" (SKIP_RETURN_CODE); the server's script has said why.
    return 77;
  }
  return RUN_ALL_TESTS();
}
