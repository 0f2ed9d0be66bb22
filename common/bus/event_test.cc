#include "common/bus/event.h"

#include <limits>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

// Utils.toPositive(Utils.murmur2(key)), from the vectors of Kafka's own UtilsTest.testMurmur2.
TEST(Partition, IsTheOneThatKafkasJavaClientChooses) {
  const struct {
    const char* key;
    int32_t murmur2;
  } vectors[] = {
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  for (const auto& vector : vectors) {
    const auto positive = static_cast<int32_t>(static_cast<uint32_t>(vector.murmur2) & 0x7fffffff);
    // Modulo the largest number of partitions, almost every bit of the hash is seen.
    EXPECT_EQ(PartitionOf(vector.key, std::numeric_limits<int32_t>::max()),
              positive % std::numeric_limits<int32_t>::max())
        << vector.key;
    EXPECT_EQ(PartitionOf(vector.key, 8), positive % 8) << vector.key;
    EXPECT_EQ(PartitionOf(vector.key, 12), positive % 12) << vector.key;
  }
}

TEST(Partition, IsInRangeForAnyBytes) {
  std::set<int> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string key(static_cast<size_t>(i % 7), static_cast<char>(i));
    const int partition = PartitionOf(key, 8);
    ASSERT_GE(partition, 0);
    ASSERT_LT(partition, 8);
    seen.insert(partition);
  }
  EXPECT_EQ(seen.size(), 8U);
  EXPECT_EQ(PartitionOf("anything", 1), 0);
}

}  // namespace
}  // namespace tandem::bus
