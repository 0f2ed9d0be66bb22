# Run by the function migrations() of the root CMakeLists.txt, in script mode:
#   cmake -DDIR=services/survey -DROOM=survey -DCOMPONENT=survey -DOUT=<folder> -P embed_migrations.cmake
# Writes OUT/migrations.h and OUT/migrations.cc from DIR/migrations/NNN_name.sqlite.sql.
file(GLOB files ${DIR}/migrations/*)
list(SORT files)
set(steps "")
set(number 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  if(NOT name MATCHES "^([0-9][0-9][0-9])_[a-z0-9_]+\\.sqlite\\.sql$")
    message(FATAL_ERROR "${file}: a migration is named like 001_tickets.sqlite.sql")
  endif()
  math(EXPR number "${number} + 1")
  set(expected "00${number}")
  string(LENGTH "${expected}" length)
  math(EXPR start "${length} - 3")
  string(SUBSTRING "${expected}" ${start} 3 expected)
  if(NOT CMAKE_MATCH_1 STREQUAL expected)
    message(FATAL_ERROR "${file}: step ${expected} was due; steps count from 001 without holes")
  endif()
  file(READ ${file} sql)
  if(sql MATCHES "\\)sql\"")
    message(FATAL_ERROR "${file}: holds )sql\", which ends the C++ literal that it becomes")
  endif()
  set(serves_from 1)
  if(sql MATCHES "^-- serves_from: ([0-9]+)\n")
    set(serves_from ${CMAKE_MATCH_1})
  elseif(sql MATCHES "serves_from:")
    message(FATAL_ERROR "${file}: \"-- serves_from: N\" stands alone on the first line, or nowhere")
  endif()
  string(APPEND steps "      {${number}, ${serves_from}, \"${name}\", R\"sql(${sql})sql\"},\n")
endforeach()
file(WRITE ${OUT}/migrations.h "// Made from ${DIR}/migrations; see common/store/README.md.
#pragma once

#include \"common/store/migration.h\"

namespace tandem::${ROOM} {

// The steps of component \"${COMPONENT}\" in SQLite's dialect.
store::Schema SqliteSchema();

}  // namespace tandem::${ROOM}
")
file(WRITE ${OUT}/migrations.cc "// Made from ${DIR}/migrations; see common/store/README.md.
#include \"${DIR}/migrations.h\"

namespace tandem::${ROOM} {

store::Schema SqliteSchema() {
  return {\"${COMPONENT}\", {
${steps}  }};
}

}  // namespace tandem::${ROOM}
")
