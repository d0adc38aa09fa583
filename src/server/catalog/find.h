// The listing of `headrace find`, as `amadmin CONF find` prints it: a row for each part. Pure.
#pragma once

#include <string>
#include <vector>

#include "server/catalog/catalog.h"

namespace headrace::catalog {

struct FindRow {
  std::string timestamp, host, disk;
  int level = 0;
  std::string storage, pool;
  std::string place;  // label, or holding file (quoted)
  int64_t fileno = 0;
  int64_t part = -1, total = -1;
  std::string status;  // "OK", "PARTIAL", "FAILED (planner) \"[reason]\""
  std::string remark;  // "FAIL Missing part", or nothing
};

// Rows in Amanda's default order: host, disk, oldest first, level, storage, part. Empty host or disk: all
// (match expressions of config/match.h).
std::vector<FindRow> find_rows(const Catalog& catalog, const std::string& host,
                               const std::vector<std::string>& disks);
// Whether such a selection has this disk.
bool is_named(const std::string& a_host, const std::string& a_disk, const std::string& host,
              const std::vector<std::string>& disks);
// The table, columns as wide as their widest value; a sentence when there are no rows.
std::string find_table(const std::vector<FindRow>& rows);

}  // namespace headrace::catalog
