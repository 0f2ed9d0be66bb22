# Run by the root CMakeLists.txt: cmake -DDIR=deploy/policies -DREPLAY_DIR=deploy/replay/policies -DOUT=<folder>
# -P deploy/policies/embed.cmake
# Writes OUT/deploy/policies/built_in.h and .cc from the policy files.
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
file(WRITE ${OUT}/deploy/policies/built_in.h "// Made from ${DIR} and ${REPLAY_DIR}.
#pragma once

#include <string>

namespace tandem::deploy {

// The text of a policy file; empty when there was none of that name.
std::string BuiltInPolicy(const std::string& name);
std::string BuiltInReplayPolicy(const std::string& name);

}  // namespace tandem::deploy
")
file(WRITE ${OUT}/deploy/policies/built_in.cc "// Made from ${DIR} and ${REPLAY_DIR}.
#include \"deploy/policies/built_in.h\"

namespace tandem::deploy {

std::string BuiltInPolicy(const std::string& name) {
${cases}  return \"\";
}

std::string BuiltInReplayPolicy(const std::string& name) {
${replay_cases}  return \"\";
}

}  // namespace tandem::deploy
")
