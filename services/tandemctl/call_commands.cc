#include <iterator>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/cli/json.h"
#include "common/config/nearest_name.h"
#include "common/corridor/endpoint.h"
#include "google/protobuf/util/json_util.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/linked_protos.h"

namespace tandem::tandemctl {
namespace {

// "TicketService/OpenTicket" or the full name; the error names what is meant or near.
absl::StatusOr<std::string> FullMethod(const std::string& word) {
  std::vector<std::string> known;
  std::vector<std::string> meant;
  for (const google::protobuf::ServiceDescriptor* service : LinkedServices()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string name = corridor::MethodName(service->method(i));
      if (name == word) return name;
      if (absl::EndsWith(name, absl::StrCat(".", word)) ||
          absl::EndsWith(name, absl::StrCat("/", word))) {
        meant.push_back(name);
      }
      known.push_back(name);
      known.push_back(absl::StrCat(service->name(), "/", service->method(i)->name()));
    }
  }
  if (meant.size() == 1) return meant.front();
  if (meant.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", word, "' may be ", absl::StrJoin(meant, ", ")));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no method is called '", word, "'", config::Suggestion(word, known)));
}

struct CallState {
  std::string method;
  std::vector<std::string> json;
};

int Run(const CallState& state, Context& context) {
  const auto method = FullMethod(state.method);
  if (!method.ok()) return UsageError(context, std::string(method.status().message()));
  if (state.json.size() > 1) {
    return UsageError(context, "expected one JSON object; put it in quotes");
  }
  std::string text = state.json.empty() ? "{}" : state.json.front();
  if (text == "-") {
    text.assign(std::istreambuf_iterator<char>(*context.input), std::istreambuf_iterator<char>());
  }
  auto request = NewRequest(*method);
  if (!request.ok()) return Fail(context, request.status());
  const auto read = google::protobuf::util::JsonStringToMessage(text, request->get());
  if (!read.ok()) {
    return UsageError(context, absl::StrCat((*request)->GetDescriptor()->full_name(), ": ",
                                            std::string(read.message())));
  }
  auto reply = context.session->Call(*method, request->get());
  if (!reply.ok()) return Fail(context, reply.status());
  context.json = true;  // or YAML
  return Print(context, **reply, nullptr);
}

}  // namespace

std::vector<Entry> CallCommands() {
  Entry entry;
  entry.path = "call";
  entry.help = "Makes any call: METHOD JSON; prints JSON.";
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto state = std::make_shared<CallState>();
    options.AddArgument("method", &state->method, "Such as TicketService/OpenTicket.");
    options.AddArguments("json", &state->json,
                         "The request; '-' reads it from standard input; none = empty.");
    return [state](Context& context) { return Run(*state, context); };
  };
  return {entry};
}

}  // namespace tandem::tandemctl
