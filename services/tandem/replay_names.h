// What the things of a log are called in Tandem. One value of the log gives one id, and two values
// two.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_NAMES_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_NAMES_H_

#include <string>
#include <string_view>

namespace tandem::programs {

// Ids of at most 128 bytes of [A-Za-z0-9_.:-]; other characters become "_" and two hex digits.
std::string AccountId(std::string_view location);
std::string ContactId(std::string_view location, std::string_view caller);
std::string AgentId(std::string_view assignee);
// The pseudo-staff of a group; empty = of no group.
std::string GroupStaffId(std::string_view group);

// Made up: nobody can be reached there. Host names and mail addresses as services take them,
// whatever the log holds: blanks, accents, letters of either case.
std::string Domain(std::string_view location);
std::string Address(std::string_view location, std::string_view caller);
// Of an incident whose caller or location is not known: leads to nobody, and no two are the same.
std::string UnknownAddress(std::string_view incident);

// A value as people read it in a name: control characters are blanks.
std::string OnOneLine(std::string_view value);

// A category as a key of [a-z0-9_.-]; empty stays empty. Letter case does not tell two apart.
std::string CategoryKey(std::string_view category);
// The code of a resolution, UNKNOWN without one.
std::string ResolutionCode(std::string_view code);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_NAMES_H_
