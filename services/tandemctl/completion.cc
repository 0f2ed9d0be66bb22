#include "services/tandemctl/completion.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/tandemctl/addresses.h"

namespace tandem::tandemctl {

std::string BashCompletion(const std::vector<Entry>& entries,
                           const std::vector<std::string>& global_flags) {
  // The words that may follow each begun command: "sla" → {get, explain, …}.
  std::map<std::string, std::set<std::string>> next;
  std::map<std::string, std::vector<std::string>> flags;
  std::map<std::string, std::vector<std::string>> values;  // "PATH FLAG" → words
  for (const Entry& entry : entries) {
    const std::vector<std::string> words = absl::StrSplit(entry.path, ' ');
    std::string path;
    for (const std::string& word : words) {
      next[path].insert(word);
      path = path.empty() ? word : absl::StrCat(path, " ", word);
    }
    flags[entry.path] = entry.flags;
    for (const auto& [flag, known] : entry.words) {
      values[absl::StrCat(entry.path, " ", flag)] = known;
    }
  }
  std::string script = R"sh(# bash completion of tandemctl: source <(tandemctl completion bash)
_tandemctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path= i
  # The command so far: known words, in order, whatever flags stand between them.
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${COMP_WORDS[i]}" in
)sh";
  std::vector<std::string> known;
  for (const auto& [path, words] : next) {
    for (const std::string& word : words) {
      // The pattern begins with a blank where the path is still empty.
      known.push_back(absl::StrCat("\"", path, " ", word, "\""));
    }
  }
  absl::StrAppend(&script, "      ", absl::StrJoin(known, "|"),
                  ") path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n    esac\n  done\n"
                  "  case \"$path $before\" in\n"
                  "    *\" --output\") COMPREPLY=($(compgen -W \"table json\" -- \"$word\")); "
                  "return ;;\n"
                  "    *\" --address\") COMPREPLY=($(compgen -S = -W \"",
                  absl::StrJoin(ServiceNames(), " "),
                  "\" -- \"$word\")); compopt -o nospace 2>/dev/null; return ;;\n"
                  "    *\" --file\" | *\" --config\" | \"policy \"*) "
                  "[[ $word == -* ]] || COMPREPLY=($(compgen -f -- \"$word\")) ;;&\n");
  for (const auto& [place, words] : values) {
    absl::StrAppend(&script, "    \"", place, "\") COMPREPLY=($(compgen -W \"",
                    absl::StrJoin(words, " "), "\" -- \"$word\")); return ;;\n");
  }
  absl::StrAppend(&script, "  esac\n  local words=\"", absl::StrJoin(global_flags, " "),
                  "\"\n  case \"$path\" in\n");
  for (const auto& [path, words] : next) {
    absl::StrAppend(&script, "    \"", path, "\") words=\"", absl::StrJoin(words, " "),
                    " $words\" ;;\n");
  }
  for (const auto& [path, words] : flags) {
    if (words.empty()) continue;
    absl::StrAppend(&script, "    \"", path, "\") words=\"", absl::StrJoin(words, " "),
                    " $words\" ;;\n");
  }
  script += R"sh(  esac
  COMPREPLY+=($(compgen -W "$words" -- "$word"))
}
complete -F _tandemctl tandemctl
)sh";
  return script;
}

}  // namespace tandem::tandemctl
