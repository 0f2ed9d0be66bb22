// The script that turns migrations into C++, run as the build runs it.
#include <stdio.h>

#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/temp_folder.h"

namespace tandem::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class EmbedMigrations : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_.File("room/migrations")); }
  void Put(const std::string& name, const std::string& sql) {
    std::ofstream(folder_.File("room/migrations/" + name), std::ios::binary) << sql;
  }
  // What the script said; `source` gets the C++ that it wrote.
  std::string Run(std::string* source) {
    const std::string command =
        "cd " + folder_.path() +
        " && cmake -DDIR=room -DROOM=room -DCOMPONENT=survey -DOUT=out -P " TANDEM_SOURCE_DIR
        "/common/store/embed_migrations.cmake 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    std::string said;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) said.push_back(static_cast<char>(c));
    succeeded_ = pclose(pipe) == 0;
    std::ifstream file(folder_.File("out/migrations.cc"), std::ios::binary);
    source->assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    return said;
  }
  void Refuses(const std::string& why) {
    std::string source;
    std::string said = Run(&source);
    for (char& c : said) c = c == '\n' ? ' ' : c;  // CMake wraps its messages
    EXPECT_FALSE(succeeded_);
    EXPECT_THAT(said, HasSubstr(why));
  }

  TempFolder folder_;
  bool succeeded_ = false;
};

TEST_F(EmbedMigrations, KeepsTheTextAsItIs) {
  const std::string odd = "CREATE TABLE a (x); -- [one; two] \"three\" \\n ${FOUR} @FIVE@\n";
  Put("001_a.sqlite.sql", odd);
  Put("002_b.sqlite.sql", "-- serves_from: 2\nDROP TABLE a;\n");
  Put("003_c.sqlite.sql", "-- serves_from: 0\nCREATE TABLE c (x);\n");
  std::string source;
  const std::string said = Run(&source);
  ASSERT_TRUE(succeeded_) << said;
  EXPECT_THAT(source, AllOf(HasSubstr("namespace tandem::room {"), HasSubstr("{\"survey\", {"),
                            HasSubstr("{1, 1, \"001_a.sqlite.sql\", R\"sql(" + odd + ")sql\"}"),
                            HasSubstr("{2, 2, \"002_b.sqlite.sql\", R\"sql(-- serves_from: 2\n"),
                            HasSubstr("{3, 0, \"003_c.sqlite.sql\"")));
}

TEST_F(EmbedMigrations, RefusesAHoleInTheNumbers) {
  Put("001_a.sqlite.sql", "SELECT 1;");
  Put("003_c.sqlite.sql", "SELECT 1;");
  Refuses("step 002 was due");
}

TEST_F(EmbedMigrations, RefusesANameThatIsNotAStep) {
  Put("001_a.sqlite.sql", "SELECT 1;");
  Put("2_b.sql", "SELECT 1;");
  Refuses("a migration is named like");
}

TEST_F(EmbedMigrations, GivesEachDialectItsOwnSteps) {
  Put("001_a.sqlite.sql", "CREATE TABLE a (x INTEGER);\n");
  Put("001_a.postgres.sql", "CREATE TABLE a (x BIGINT);\n");
  std::string source;
  const std::string said = Run(&source);
  ASSERT_TRUE(succeeded_) << said;
  const size_t sqlite = source.find("SqliteSchema() {");
  const size_t postgres = source.find("PostgresSchema() {");
  ASSERT_LT(sqlite, postgres);
  ASSERT_NE(postgres, std::string::npos);
  EXPECT_THAT(source.substr(sqlite, postgres - sqlite),
              AllOf(HasSubstr("INTEGER"), testing::Not(HasSubstr("BIGINT"))));
  EXPECT_THAT(source.substr(postgres),
              AllOf(HasSubstr("{1, 1, \"001_a.postgres.sql\""), HasSubstr("BIGINT")));
}

TEST_F(EmbedMigrations, GivesNoPostgresSchemaWithoutItsSteps) {
  Put("001_a.sqlite.sql", "CREATE TABLE a (x);\n");
  std::string source;
  const std::string said = Run(&source);
  ASSERT_TRUE(succeeded_) << said;
  EXPECT_THAT(source, testing::Not(HasSubstr("PostgresSchema")));
}

TEST_F(EmbedMigrations, RefusesDialectsWithOtherSteps) {
  Put("001_a.sqlite.sql", "SELECT 1;");
  Put("002_b.sqlite.sql", "SELECT 1;");
  Put("001_a.postgres.sql", "SELECT 1;");
  Refuses("the steps of the two dialects differ");
  Put("002_c.postgres.sql", "SELECT 1;");
  Refuses("the steps of the two dialects differ");
}

TEST_F(EmbedMigrations, RefusesAStepThatServesOthersInOneDialect) {
  Put("001_a.sqlite.sql", "SELECT 1;");
  Put("001_a.postgres.sql", "-- serves_from: 0\nSELECT 1;");
  Refuses("the steps of the two dialects differ");
}

TEST_F(EmbedMigrations, RefusesServesFromAnywhereElse) {
  Put("001_a.sqlite.sql", "SELECT 1;\n-- serves_from: 1\n");
  Refuses("first line");
}

}  // namespace
}  // namespace tandem::store
