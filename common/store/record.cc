#include "common/store/record.h"

#include <cassert>
#include <cstdint>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/store/params.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace tandem::store {
namespace {

// Deterministic, so that equal messages give equal bytes within one build, maps included.
Blob Serialize(const google::protobuf::Message& message) {
  Blob blob;
  blob.bytes.resize(message.ByteSizeLong());  // which the message keeps: it is not sized again
  google::protobuf::io::ArrayOutputStream out(blob.bytes.data(),
                                              static_cast<int>(blob.bytes.size()));
  google::protobuf::io::CodedOutputStream coded(&out);
  coded.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&coded);
  assert(!coded.HadError() && coded.ByteCount() == static_cast<int>(blob.bytes.size()));
  return blob;
}

}  // namespace

RecordTable::RecordTable(std::string name, const google::protobuf::Message& prototype,
                         std::vector<Column> columns, Rows rows)
    : name_(std::move(name)), prototype_(&prototype), columns_(std::move(columns)), rows_(rows) {
  // $1 is the key, $2 the new version, $3 the body, then the columns; the base version comes last.
  assert(columns_.size() <= 64);  // a set of them is a number
  std::string names = "key, version, body", values = "$1, $2, $3";
  size_t parameter = 3;
  for (const Column& column : columns_) {
    ++parameter;
    absl::StrAppend(&names, ", ", column.name);
    absl::StrAppend(&values, ", $", parameter);
  }
  select_by_key_ = absl::StrCat("SELECT version, body FROM ", name_, " WHERE key=$1");
  select_where_ = absl::StrCat("SELECT key, version, body FROM ", name_, " ");
  insert_ = absl::StrCat("INSERT INTO ", name_, " (", names, ") VALUES (", values, ")");
  delete_ = absl::StrCat("DELETE FROM ", name_, " WHERE key=$1 AND version=$2");
  check_present_ = absl::StrCat("SELECT 1 FROM ", name_, " WHERE key=$1 AND version=$2");
  check_absent_ =
      absl::StrCat("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ", name_, " WHERE key=$1)");
}

Statement RecordTable::SelectByKey(std::string_view key) const {
  return {Sql::Lasting(select_by_key_), Params(std::string(key))};
}

Statement RecordTable::SelectWhere(std::string_view tail, std::vector<Value> params) const {
  return {select_where_ + std::string(tail), std::move(params)};
}

Write RecordTable::Insert(std::string_view key, int64_t version,
                          const google::protobuf::Message& body) const {
  assert(version > 0);  // 0 means absent.
  Write write{name_, std::string(key), {Sql::Lasting(insert_), {}}, Expect::kOneRow};
  std::vector<Value>& params = write.statement.params;
  params.reserve(3 + columns_.size());
  params.emplace_back(write.key);
  params.emplace_back(version);
  params.emplace_back(Serialize(body));
  for (const Column& column : columns_) params.push_back(column.value(body));
  return write;
}

const std::string& RecordTable::UpdateOf(uint64_t set) const {
  absl::MutexLock lock(&mutex_);
  std::string& update = updates_[set];  // stays where it is
  if (!update.empty()) return update;
  std::string sets = "version=$2, body=$3";
  int next = 4;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if ((set >> i & 1) != 0) absl::StrAppend(&sets, ", ", columns_[i].name, "=$", next++);
  }
  update = absl::StrCat("UPDATE ", name_, " SET ", sets, " WHERE key=$1 AND version=$", next);
  return update;
}

Write RecordTable::Update(std::string_view key, int64_t base, int64_t version,
                          const google::protobuf::Message& before,
                          const google::protobuf::Message& body) const {
  assert(base > 0 && version > base);  // A version that does not rise would hide a lost update.
  Write write{name_, std::string(key), {}, Expect::kOneRow};
  std::vector<Value>& params = write.statement.params;
  params.reserve(4 + columns_.size());
  params.emplace_back(write.key);
  params.emplace_back(version);
  params.emplace_back(Serialize(body));
  uint64_t set = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    Value value = columns_[i].value(body);
    if (value == columns_[i].value(before)) continue;
    set |= uint64_t{1} << i;
    params.push_back(std::move(value));
  }
  params.emplace_back(base);
  write.statement.sql = Sql::Lasting(UpdateOf(set));
  return write;
}

Write RecordTable::Delete(std::string_view key, int64_t base) const {
  assert(base > 0);
  return {name_,
          std::string(key),
          {Sql::Lasting(delete_), Params(std::string(key), base)},
          Expect::kOneRow};
}

Write RecordTable::Check(std::string_view key, int64_t base) const {
  if (base == 0) {
    return {name_,
            std::string(key),
            {Sql::Lasting(check_absent_), Params(std::string(key))},
            Expect::kFinds};
  }
  return {name_,
          std::string(key),
          {Sql::Lasting(check_present_), Params(std::string(key), base)},
          Expect::kFinds};
}

}  // namespace tandem::store
