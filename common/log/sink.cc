#include "common/log/sink.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace tandem::log {
namespace {

class SpdlogSink : public LineSink {
 public:
  SpdlogSink() : logger_("tandem", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    // Time, level and the rest already stand in the line.
    logger_.set_pattern("%v");
    logger_.set_level(spdlog::level::trace);
    logger_.flush_on(spdlog::level::trace);
  }

  void Write(std::string_view line) override {
    logger_.log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  void Flush() override { logger_.flush(); }

 private:
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<LineSink> StderrSink() { return std::make_unique<SpdlogSink>(); }

}  // namespace tandem::log
