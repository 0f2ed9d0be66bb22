// main() of the programs that test over a Kafka broker. ctest starts the broker for all of them;
// run by hand, each starts one of its own.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/kafka_broker.h"

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  if (!testing::GTEST_FLAG(list_tests) && tandem::bus::KafkaBroker::Shared() == nullptr) {
    // ctest reads this status as "skipped" (SKIP_RETURN_CODE); the broker's script has said why.
    return 77;
  }
  return RUN_ALL_TESTS();
}
