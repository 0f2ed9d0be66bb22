#include "common/metrics/metrics.h"

#include <sys/statvfs.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>

#include "common/metrics/disk.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::metrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

size_t Times(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

// The value of the first series that begins so.
double ValueOf(const std::string& text, const std::string& series) {
  return std::stod(text.substr(text.find("\n" + series + " ") + series.size() + 2));
}

class MetricsTest : public testing::Test {
 protected:
  Registry registry_{"1.2.3"};
  Scope triage_ = registry_.In({{"service", "triage"}});
  Scope survey_ = registry_.In({{"service", "survey"}});
};

TEST_F(MetricsTest, BuildInfoTellsTheVersion) {
  EXPECT_THAT(registry_.Text(), AllOf(HasSubstr("# TYPE tandem_build_info gauge\n"),
                                      HasSubstr("version=\"1.2.3\"} 1\n")));
}

TEST_F(MetricsTest, AMeasuredGaugeIsItsRowsAndWhatIsGoneIsZero) {
  const MeasuredGauge tickets = triage_.Measured("tandem_tickets", "", {"queue", "state"});
  tickets.Set({{{"billing", "open"}, 3}, {{"billing", "new"}, 1}});
  EXPECT_THAT(registry_.Text(),
              HasSubstr("tandem_tickets{queue=\"billing\",service=\"triage\",state=\"open\"} 3"));
  tickets.Set({{{"billing", "new"}, 2}});
  EXPECT_THAT(registry_.Text(),
              AllOf(HasSubstr("state=\"open\"} 0"), HasSubstr("state=\"new\"} 2")));
}

TEST_F(MetricsTest, AMeasuredGaugeHasAnEnd) {
  const MeasuredGauge measured = triage_.Measured("tandem_many", "", {"name"});
  std::vector<MeasuredGauge::Row> rows;
  for (size_t i = 0; i < kMaxMeasured + 20; ++i) rows.push_back({{std::to_string(i)}, 2});
  measured.Set(rows);
  EXPECT_THAT(registry_.Text(), HasSubstr("tandem_many{name=\"other\",service=\"triage\"} 40"));
}

TEST_F(MetricsTest, ACounterCountsByItsLabels) {
  const CounterFamily calls = triage_.Counters(
      "tandem_calls_total", "Calls.", {{"method", {"Claim", "Transfer"}}, {"code", {"OK"}}});
  calls.At({"Claim", "OK"}).Increment();
  calls.At({"Claim", "OK"}).Increment(2);
  EXPECT_EQ(calls.At({"Claim", "OK"}).Value(), 3);
  EXPECT_THAT(
      registry_.Text(),
      AllOf(HasSubstr("# HELP tandem_calls_total Calls.\n# TYPE tandem_calls_total counter\n"),
            HasSubstr("tandem_calls_total{code=\"OK\",method=\"Claim\",service=\"triage\"} 3\n"),
            HasSubstr("{code=\"OK\",method=\"Transfer\",service=\"triage\"} 0\n")));
}

TEST_F(MetricsTest, AnUnknownValueBecomesOther) {
  const CounterFamily calls =
      triage_.Counters("tandem_calls_total", "Calls.", {{"method", {"Claim"}}});
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("other")));
  for (int id = 0; id < 1000; ++id) calls.At({std::to_string(id)}).Increment();
  calls.At({"other"}).Increment();
  EXPECT_THAT(registry_.Text(), HasSubstr("method=\"other\",service=\"triage\"} 1001\n"));
  EXPECT_EQ(Times(registry_.Text(), "\ntandem_calls_total{"), 2u);
}

TEST_F(MetricsTest, ManySeriesAppearWhenTheyAreUsed) {
  std::vector<std::string> values;
  for (int i = 0; i < 100; ++i) values.push_back("v" + std::to_string(i));
  const CounterFamily many = triage_.Counters("tandem_many_total", "Many.", {{"kind", values}});
  EXPECT_EQ(Times(registry_.Text(), "\ntandem_many_total{"), 0u);
  many.At({"v7"}).Increment();
  many.At({"v99"}).Increment();
  EXPECT_EQ(Times(registry_.Text(), "\ntandem_many_total{"), 2u);
}

TEST_F(MetricsTest, EachPairOfValuesIsItsOwnSeries) {
  const CounterFamily pairs =
      triage_.Counters("tandem_pairs_total", "Pairs.", {{"a", {"1", "2", "3"}}, {"b", {"x", "y"}}});
  double next = 1;
  for (const std::string a : {"1", "2", "3", "other"}) {
    for (const std::string b : {"x", "y", "other"}) pairs.At({a, b}).Increment(next++);
  }
  next = 1;
  for (const std::string a : {"1", "2", "3", "other"}) {
    for (const std::string b : {"x", "y", "other"}) EXPECT_EQ(pairs.At({a, b}).Value(), next++);
  }
}

TEST_F(MetricsTest, AGaugeGoesUpAndDown) {
  const Gauge depth = triage_.OneGauge("tandem_lane_depth", "Waiting.");
  depth.Set(5);
  depth.Add(-2);
  EXPECT_THAT(registry_.Text(), HasSubstr("tandem_lane_depth{service=\"triage\"} 3\n"));
}

TEST_F(MetricsTest, AHistogramSortsIntoBuckets) {
  const Histogram wait = triage_.OneHistogram("tandem_wait_seconds", "Wait.", {0.01, 0.1, 1});
  wait.Observe(absl::Milliseconds(50));
  wait.Observe(0.5);
  wait.Observe(7);
  EXPECT_THAT(registry_.Text(),
              AllOf(HasSubstr("tandem_wait_seconds_bucket{service=\"triage\",le=\"0.01\"} 0\n"),
                    HasSubstr("tandem_wait_seconds_bucket{service=\"triage\",le=\"0.1\"} 1\n"),
                    HasSubstr("tandem_wait_seconds_bucket{service=\"triage\",le=\"1\"} 2\n"),
                    HasSubstr("tandem_wait_seconds_bucket{service=\"triage\",le=\"+Inf\"} 3\n"),
                    HasSubstr("tandem_wait_seconds_count{service=\"triage\"} 3\n")));
}

TEST_F(MetricsTest, OneNameFromSeveralScopesStandsOnce) {
  survey_.OneGauge("tandem_lane_depth", "Waiting.").Set(1);
  triage_.OneGauge("tandem_lane_depth", "Waiting.").Set(2);
  EXPECT_THAT(registry_.Text(),
              HasSubstr("# HELP tandem_lane_depth Waiting.\n# TYPE tandem_lane_depth gauge\n"
                        "tandem_lane_depth{service=\"survey\"} 1\n"
                        "tandem_lane_depth{service=\"triage\"} 2\n"));
  EXPECT_EQ(Times(registry_.Text(), "# TYPE tandem_lane_depth"), 1u);
}

TEST_F(MetricsTest, ANameRegisteredAgainSharesItsSeries) {
  triage_.OneCounter("tandem_seen_total", "Seen.").Increment();
  triage_.OneCounter("tandem_seen_total", "Seen.").Increment();
  EXPECT_THAT(registry_.Text(), HasSubstr("tandem_seen_total{service=\"triage\"} 2\n"));
}

TEST_F(MetricsTest, AnAskedGaugeIsAskedAtEachScrapeUntilItIsGone) {
  int depth = 3;
  {
    const AskedGauge asked = triage_.Asked("tandem_outbox_depth", "Rows.", [&] { return depth; });
    EXPECT_THAT(registry_.Text(), HasSubstr("tandem_outbox_depth{service=\"triage\"} 3\n"));
    depth = 4;
    EXPECT_THAT(registry_.Text(), HasSubstr("tandem_outbox_depth{service=\"triage\"} 4\n"));
  }
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("tandem_outbox_depth")));
}

TEST_F(MetricsTest, TheStartIsShownUnderTheNameThatPrometheusHasForIt) {
  registry_.ShowProcess(absl::FromUnixMillis(1'795'442'400'500));
  EXPECT_THAT(registry_.Text(), HasSubstr("\nprocess_start_time_seconds 1795442400.5\n"));
}

TEST_F(MetricsTest, HandlesWithoutARegistryGoNowhere) {
  Counter().Increment();
  Gauge().Set(1);
  Histogram().Observe(1);
  EXPECT_EQ(CounterFamily().At({"any"}).Value(), 0);
}

TEST_F(MetricsTest, ManyThreadsCountEachIncrement) {
  const CounterFamily family = triage_.Counters("tandem_n_total", "N.", {{"kind", {"a"}}});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) family.At({i % 2 == 0 ? "a" : "b"}).Increment();
    });
  }
  for (int i = 0; i < 20; ++i) registry_.Text();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(family.At({"a"}).Value(), 2000);
  EXPECT_EQ(family.At({"other"}).Value(), 2000);
}

TEST_F(MetricsTest, ValuesOfLabelsAreEscaped) {
  registry_.In({{"path", "a\"b\\c\nd"}}).OneGauge("tandem_x", "X.").Set(1);
  EXPECT_THAT(registry_.Text(), HasSubstr("tandem_x{path=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST_F(MetricsTest, CodesAreNamedAsGrpcNamesThem) {
  EXPECT_EQ(StatusCodeLabel().values.size(), 17u);
  EXPECT_EQ(StatusCodeLabel().values.front(), "OK");
  EXPECT_EQ(StatusCodeLabel().values.back(), "UNAUTHENTICATED");
}

using MetricsDeathTest = MetricsTest;

TEST_F(MetricsDeathTest, BrokenNamesEndTheProgram) {
  EXPECT_DEATH(triage_.OneCounter("calls_total", ""), "tandem_");
  EXPECT_DEATH(triage_.OneCounter("tandem_calls", ""), "_total");
  EXPECT_DEATH(triage_.OneGauge("tandem_depth_total", ""), "_total");
  EXPECT_DEATH(triage_.OneGauge("tandem_Depth", ""), "snake_case");
  EXPECT_DEATH(triage_.Counters("tandem_a_total", "", {{"le", {}}}), "bad label");
  EXPECT_DEATH(triage_.OneHistogram("tandem_a_seconds", "", {1, 1}), "do not rise");
}

TEST_F(MetricsDeathTest, OneNameOfTwoKindsEndsTheProgram) {
  triage_.OneGauge("tandem_depth", "");
  EXPECT_DEATH(triage_.OneHistogram("tandem_depth", "", {1}), "tandem_depth");
}

TEST_F(MetricsDeathTest, TooManySeriesEndTheProgram) {
  std::vector<std::string> values;
  for (int i = 0; i < 200; ++i) values.push_back(std::to_string(i));
  EXPECT_DEATH(triage_.Counters("tandem_a_total", "", {{"a", values}, {"b", values}}),
               "more than 10000");
}

TEST_F(MetricsDeathTest, TheNumberOfValuesMustFit) {
  const CounterFamily family = triage_.Counters("tandem_a_total", "", {{"a", {"x"}}});
  EXPECT_DEATH(family.At({"x", "y"}), "has 1 labels, not 2");
}

TEST(Metrics, ShowWhatTheKernelSaysOfTheProcess) {
  Registry registry("1");
  EXPECT_THAT(registry.Text(), Not(HasSubstr("process_")));
  registry.ShowProcess(absl::FromUnixSeconds(1'795'442'400));
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("process_start_time_seconds 1795442400\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE process_cpu_seconds_total counter\n"));
  EXPECT_NEAR(ValueOf(text, "process_cpu_seconds_total"),
              static_cast<double>(std::clock()) / CLOCKS_PER_SEC, 1);
  EXPECT_GT(ValueOf(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(ValueOf(text, "process_virtual_memory_bytes"),
            ValueOf(text, "process_resident_memory_bytes"));
  EXPECT_GT(ValueOf(text, "process_max_fds"), ValueOf(text, "process_open_fds"));
  // One of them is the looking itself.
  const auto files = std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                   std::filesystem::directory_iterator()) -
                     1;
  EXPECT_EQ(ValueOf(text, "process_open_fds"), static_cast<double>(files));
  std::FILE* const file = std::fopen("/dev/null", "r");
  EXPECT_EQ(ValueOf(registry.Text(), "process_open_fds"), static_cast<double>(files + 1));
  std::fclose(file);
}

TEST(Metrics, OfAManyLinedHistogramAreShownOnceTheyAreUsed) {
  Registry registry("1");
  const HistogramFamily family = registry.In({}).Histograms(
      "tandem_h_seconds", "H.", LatencySeconds(), {{"method", {"a", "b", "c", "d", "e"}}});
  EXPECT_THAT(registry.Text(), Not(HasSubstr("tandem_h_seconds_bucket")));
  family.At({"b"}).Observe(1);
  EXPECT_THAT(registry.Text(), HasSubstr("tandem_h_seconds_count{method=\"b\"} 1\n"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("method=\"a\"")));
}

TEST(Metrics, OfAHistogramCountTheLinesOfItsSumAndCountToo) {
  Registry registry("1");
  const Label four{"method", {"a", "b", "c", "d"}};
  ASSERT_EQ(4 * (LongSeconds().size() + 3), kEagerSeries);
  const auto fits = registry.In({}).Histograms("tandem_f_seconds", "F.", LongSeconds(), {four});
  const auto many = registry.In({}).Histograms("tandem_m_seconds", "M.", LatencySeconds(), {four});
  EXPECT_EQ(Times(registry.Text(), "\ntandem_f_seconds"), kEagerSeries);
  EXPECT_EQ(Times(registry.Text(), "\ntandem_m_seconds"), 0u);
}

TEST(DiskGauges, SayHowMuchRoomIsLeft) {
  Registry registry("1");
  const DiskGauges disk(registry.In({{"service", "x"}}), testing::TempDir());
  disk.Measure();
  const std::string text = registry.Text();
  struct statvfs there {};
  ASSERT_EQ(statvfs(testing::TempDir().c_str(), &there), 0);
  const auto block = static_cast<double>(there.f_frsize);
  const double size = static_cast<double>(there.f_blocks) * block;
  EXPECT_EQ(ValueOf(text, "tandem_data_size_bytes{service=\"x\"}"), size);
  // Others may write meanwhile.
  EXPECT_NEAR(ValueOf(text, "tandem_data_free_bytes{service=\"x\"}"),
              static_cast<double>(there.f_bavail) * block, size / 100);
  DiskGauges(registry.In({{"service", "y"}}), "/no/such/folder").Measure();
}

}  // namespace
}  // namespace tandem::metrics
