// Numbered schema steps, embedded in the binary and applied under the store's lock before it
// serves.
#ifndef TANDEM_COMMON_STORE_MIGRATION_H_
#define TANDEM_COMMON_STORE_MIGRATION_H_

#include <string>
#include <vector>

namespace tandem::store {

// Steps expand, then contract: `serves_from` is the oldest binary schema (the highest step number
// that a binary knows) that still works after this step. Only an older binary is refused.
struct Migration {
  int number = 0;       // from 1, without holes within a component
  int serves_from = 1;  // see above
  std::string name;     // file name, for messages
  std::string sql;      // the engine's own dialect; several statements
};

// The steps of one owner of tables ("corridor" for the mechanism's own, else the service's name).
struct Schema {
  std::string component;
  std::vector<Migration> migrations;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_MIGRATION_H_
