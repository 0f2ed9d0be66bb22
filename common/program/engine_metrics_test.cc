#include "common/program/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/metrics/metrics.h"

namespace tandem::program {
namespace {

using ::testing::HasSubstr;

class EngineMetrics : public ::testing::Test {
 protected:
  metrics::Scope Scope() { return registry_.In({{"service", "triage"}}); }
  void Shows(const std::string& name, const std::string& value) {
    EXPECT_THAT(registry_.Text(), HasSubstr("\n" + name + " " + value + "\n"));
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'795'442'400);
  metrics::Registry registry_{"test"};
};

TEST_F(EngineMetrics, ABusThatAnswersIsUnreachableForNoTime) {
  BusMetrics metrics(Scope());
  bus::KafkaHealth health;
  health.brokers = 3;
  bus::KafkaGauges gauges;
  gauges.waiting_events = 7;
  gauges.waiting_bytes = 900;
  metrics.Tell(health, gauges, now_);
  Shows("tandem_bus_unreachable_seconds{service=\"triage\"}", "0");
  Shows("tandem_bus_brokers{service=\"triage\"}", "3");
  Shows("tandem_bus_waiting_events{service=\"triage\"}", "7");
  Shows("tandem_bus_waiting_bytes{service=\"triage\"}", "900");
}

TEST_F(EngineMetrics, ABusThatDoesNotAnswerIsUnreachableSinceItsLastAnswer) {
  BusMetrics metrics(Scope());
  bus::KafkaHealth health;
  health.unreachable_since = now_ - absl::Seconds(40);
  metrics.Tell(health, {}, now_);
  Shows("tandem_bus_unreachable_seconds{service=\"triage\"}", "40");
  // The clock was set back.
  metrics.Tell(health, {}, now_ - absl::Minutes(5));
  Shows("tandem_bus_unreachable_seconds{service=\"triage\"}", "0");
}

TEST_F(EngineMetrics, WhatTheBusCountsIsCountedOnce) {
  BusMetrics metrics(Scope());
  bus::KafkaGauges gauges;
  gauges.producers_given_up = 2;
  gauges.unreadable_records = 5;
  metrics.Tell({}, gauges, now_);
  metrics.Tell({}, gauges, now_);
  // A member ended and took its share along.
  gauges.unreadable_records = 1;
  metrics.Tell({}, gauges, now_);
  gauges.unreadable_records = 2;
  metrics.Tell({}, gauges, now_);
  Shows("tandem_bus_producers_given_up_total{service=\"triage\"}", "2");
  Shows("tandem_bus_unreadable_records_total{service=\"triage\"}", "6");
}

TEST_F(EngineMetrics, AttemptsToReconnectAreCountedByTheirResult) {
  const StoreMetrics metrics(Scope());
  metrics.Reconnected(absl::UnavailableError("away"));
  metrics.Reconnected(absl::UnavailableError("away"));
  metrics.Reconnected(absl::OkStatus());
  Shows("tandem_store_reconnects_total{result=\"connected\",service=\"triage\"}", "1");
  Shows("tandem_store_reconnects_total{result=\"failed\",service=\"triage\"}", "2");
}

}  // namespace
}  // namespace tandem::program
