# Run by the root CMakeLists.txt: cmake -DFROM=<descriptor set> -DTO=<file.cc> -P embed_descriptors.cmake
# Writes the set as a string of C++.
file(READ ${FROM} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
string(REGEX REPLACE "([^\n]+)" "    \"\\1\"" hex "${hex}")
file(WRITE ${TO} "// Made from the protos.
#include \"services/tandemctl/proto_comments.h\"

namespace tandem::tandemctl {

std::string_view DescriptorSetBytes() {
  static constexpr char kBytes[] =
${hex};
  return {kBytes, ${bytes}};
}

}  // namespace tandem::tandemctl
")
