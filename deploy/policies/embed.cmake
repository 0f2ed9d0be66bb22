# Run by the root CMakeLists.txt: cmake -DDIR=deploy/policies -DREPLAY_DIR=deploy/replay/policies -DOUT=<folder>
# -P embed_policies.cmake
# Writes OUT/services/tandem/built_in_policies.h and .cc from the policy files.
function(cases_of folder result)
  file(GLOB files ${folder}/*.yaml)
  list(SORT files)
  set(cases "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    file(READ ${file} text)
    string(APPEND cases "  if (name == \"${name}\") return R\"yaml(${text})yaml\";\n")
  endforeach()
  set(${result} "${cases}" PARENT_SCOPE)
endfunction()
cases_of(${DIR} cases)
cases_of(${REPLAY_DIR} replay_cases)
file(WRITE ${OUT}/services/tandem/built_in_policies.h "// Made from ${DIR} and ${REPLAY_DIR}.
#pragma once

#include <string>

namespace tandem::programs {

// The text of a policy file; empty when there was none of that name.
std::string BuiltInPolicyText(const std::string& name);
std::string BuiltInReplayPolicyText(const std::string& name);

}  // namespace tandem::programs
")
file(WRITE ${OUT}/services/tandem/built_in_policies.cc "// Made from ${DIR} and ${REPLAY_DIR}.
#include \"services/tandem/built_in_policies.h\"

namespace tandem::programs {

std::string BuiltInPolicyText(const std::string& name) {
${cases}  return \"\";
}

std::string BuiltInReplayPolicyText(const std::string& name) {
${replay_cases}  return \"\";
}

}  // namespace tandem::programs
")
