# Run by the function migrations() of the root CMakeLists.txt, in script mode:
#   cmake -DDIR=services/survey -DROOM=survey -DCOMPONENT=survey -DOUT=<folder> -P embed_migrations.cmake
# Writes OUT/migrations.h and OUT/migrations.cc from DIR/migrations/NNN_name.sqlite.sql and, where there are such,
# NNN_name.postgres.sql. Both dialects have the same steps: the same numbers, names and serves_from.
file(GLOB files ${DIR}/migrations/*)
list(SORT files)
foreach(dialect sqlite postgres)
  set(steps_${dialect} "")
  set(number_${dialect} 0)
  set(names_${dialect} "")
endforeach()
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  if(NOT name MATCHES "^(([0-9][0-9][0-9])_[a-z0-9_]+)\\.(sqlite|postgres)\\.sql$")
    message(FATAL_ERROR "${file}: a migration is named like 001_tickets.sqlite.sql or 001_tickets.postgres.sql")
  endif()
  set(stem ${CMAKE_MATCH_1})
  set(digits ${CMAKE_MATCH_2})
  set(dialect ${CMAKE_MATCH_3})
  math(EXPR number_${dialect} "${number_${dialect}} + 1")
  set(number ${number_${dialect}})
  set(expected "00${number}")
  string(LENGTH "${expected}" length)
  math(EXPR start "${length} - 3")
  string(SUBSTRING "${expected}" ${start} 3 expected)
  if(NOT digits STREQUAL expected)
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
  string(APPEND names_${dialect} " ${stem} (serves_from ${serves_from})")
  string(APPEND steps_${dialect} "      {${number}, ${serves_from}, \"${name}\", R\"sql(${sql})sql\"},\n")
endforeach()
if(number_postgres AND NOT names_postgres STREQUAL names_sqlite)
  message(FATAL_ERROR "${DIR}/migrations: the steps of the two dialects differ; SQLite has${names_sqlite}, "
          "PostgreSQL has${names_postgres}")
endif()

set(declarations "
// The steps of component \"${COMPONENT}\" in SQLite's dialect.
store::Schema SqliteSchema();
")
set(definitions "
store::Schema SqliteSchema() {
  return {\"${COMPONENT}\", {
${steps_sqlite}  }};
}
")
if(number_postgres)
  string(APPEND declarations "
// The same steps in PostgreSQL's dialect.
store::Schema PostgresSchema();
")
  string(APPEND definitions "
store::Schema PostgresSchema() {
  return {\"${COMPONENT}\", {
${steps_postgres}  }};
}
")
endif()
file(WRITE ${OUT}/migrations.h "// Made from ${DIR}/migrations; see common/store/README.md.
#pragma once

#include \"common/store/migration.h\"

namespace tandem::${ROOM} {
${declarations}
}  // namespace tandem::${ROOM}
")
file(WRITE ${OUT}/migrations.cc "// Made from ${DIR}/migrations; see common/store/README.md.
#include \"${DIR}/migrations.h\"

namespace tandem::${ROOM} {
${definitions}
}  // namespace tandem::${ROOM}
")
