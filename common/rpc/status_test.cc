#include "common/rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/corridor/errors.h"
#include "common/rpc/traceparent.h"
#include "google/rpc/status.pb.h"

namespace tandem::rpc {
namespace {

TEST(StatusMapping, KeepsCodeMessageAndDetailsBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status = corridor::WithReason(
        absl::Status(static_cast<absl::StatusCode>(code), "what happened"), "WHY");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(StatusMapping, StaysWithinWhatClientsRead) {
  absl::Status status =
      corridor::WithReason(absl::InvalidArgumentError(std::string(10'000, 'x')), "WHY");
  status.SetPayload("type.googleapis.com/a.Large", absl::Cord(std::string(100'000, 'y')));
  const grpc::Status mapped = ToGrpc(status);
  EXPECT_LE(mapped.error_message().size(), 1024u);
  EXPECT_LE(mapped.error_details().size(), 3584u);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(mapped.error_details()));
  ASSERT_EQ(details.details_size(), 1) << "the small detail stays";
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
}

TEST(StatusMapping, CutsAMessageBetweenCharacters) {
  std::string text;
  while (text.size() < 2000) text += "ä";
  for (const std::string& message : {text, "x" + text}) {
    const std::string cut = ToGrpc(absl::NotFoundError(message)).error_message();
    EXPECT_EQ(cut.substr(cut.size() - 3), "...");
    EXPECT_EQ(cut.substr(0, cut.size() - 3), message.substr(0, cut.size() - 3));
    EXPECT_EQ(static_cast<unsigned char>(message[cut.size() - 3]) & 0xC0, 0xC0);
  }
}

TEST(StatusMapping, TakesGarbageFromAServerForWhatItIs) {
  const absl::Status status =
      FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(25), "?", "\xff\xff"));
  EXPECT_EQ(status, absl::UnknownError("?"));
}

TEST(Traceparent, IsCheckedByTheStandard) {
  EXPECT_TRUE(IsTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
  EXPECT_TRUE(IsTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
  for (const char* broken : {
           "",
           "00",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
           "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
           "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
       }) {
    EXPECT_FALSE(IsTraceparent(broken)) << broken;
  }
}

TEST(Traceparent, OfAServedCallHasTheTraceAndASpanOfItsOwn) {
  const std::string received = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string served = ServedTraceparent(received);
  EXPECT_TRUE(IsTraceparent(served));
  EXPECT_EQ(served.substr(0, 36), received.substr(0, 36));
  EXPECT_NE(served.substr(36, 16), received.substr(36, 16));
  EXPECT_EQ(served.substr(52), "-01");
  EXPECT_NE(ServedTraceparent(""), ServedTraceparent(""));
  EXPECT_TRUE(IsTraceparent(ServedTraceparent("garbage")));
}

}  // namespace
}  // namespace tandem::rpc
