#include "server/catalog/find.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/quote.h"
#include "config/match.h"

namespace headrace::catalog {
namespace {

// "20261123013159" as "2026-11-23 01:31:59", 8 digits as the date alone.
std::string readable(const std::string& stamp) {
  if (stamp.size() < 8) return stamp;
  std::string text = stamp.substr(0, 4) + '-' + stamp.substr(4, 2) + '-' + stamp.substr(6, 2);
  if (stamp.size() >= 14) {
    text += ' ' + stamp.substr(8, 2) + ':' + stamp.substr(10, 2) + ':' + stamp.substr(12, 2);
  }
  return text;
}

// Widths are bytes, as in Amanda's listing.
std::string padded(const std::string& cell, size_t width, bool right) {
  const std::string blanks(width - cell.size(), ' ');
  return (right ? blanks + cell : cell + blanks) + ' ';
}

std::string status_of(const Image& image, bool part_ok) {
  switch (image.status) {
    case ImageStatus::ok:
      return part_ok ? "OK" : "PARTIAL";
    case ImageStatus::partial:
      return "PARTIAL";
    case ImageStatus::failed:
      return "FAILED (taper) " + base::quote_always("[" + image.reason + "]");
    case ImageStatus::missing_part:
      return "OK";
    case ImageStatus::unfinished:
      return "PARTIAL";
  }
  return "";
}

FindRow row_of(const Image& image) {
  FindRow row;
  row.timestamp = image.timestamp;
  row.host = image.host;
  row.disk = image.disk;
  row.level = image.level;
  row.storage = image.storage;
  row.pool = image.pool;
  if (image.status == ImageStatus::missing_part) row.remark = "FAIL Missing part";
  return row;
}

void append_rows(const Image& image, std::vector<FindRow>& rows) {
  if (image.held()) {
    FindRow row = row_of(image);
    row.place = base::quote(image.holding_file.string());
    row.status = status_of(image, true);
    rows.push_back(std::move(row));
    return;
  }
  for (const Part& part : image.parts) {
    FindRow row = row_of(image);
    row.place = part.label;
    row.fileno = part.fileno;
    row.part = part.number;
    row.total = part.total;
    row.status = status_of(image, part.ok);
    rows.push_back(std::move(row));
  }
}

FindRow row_of(const FailedDump& failed) {
  FindRow row;
  row.timestamp = failed.timestamp;
  row.host = failed.host;
  row.disk = failed.disk;
  row.level = failed.level;
  row.status = fmt::format("FAILED ({}) {} ", failed.program, base::quote_always("[" + failed.reason + "]"));
  return row;
}

}  // namespace

bool is_named(const std::string& a_host, const std::string& a_disk, const std::string& host,
              const std::vector<std::string>& disks) {
  if (!host.empty() && !config::match_host(host, a_host)) return false;
  return disks.empty() || std::ranges::any_of(disks, [&](const std::string& disk) {
           return config::match_disk(disk, a_disk);
         });
}

std::vector<FindRow> find_rows(const Catalog& catalog, const std::string& host,
                               const std::vector<std::string>& disks) {
  const auto wanted = [&](const std::string& a_host, const std::string& a_disk) {
    return is_named(a_host, a_disk, host, disks);
  };
  std::vector<FindRow> rows;
  for (const Image& image : catalog.images()) {
    if (wanted(image.host, image.disk)) append_rows(image, rows);
  }
  for (const FailedDump& failed : catalog.failed()) {
    if (wanted(failed.host, failed.disk)) rows.push_back(row_of(failed));
  }
  std::ranges::sort(rows, {}, [](const FindRow& row) {
    return std::tuple(row.host, row.disk, row.timestamp, row.level, row.storage, row.part, row.place,
                      row.status);
  });
  return rows;
}

std::string find_table(const std::vector<FindRow>& rows) {
  if (rows.empty()) return "\nNo dump to list\n";
  struct Column {
    std::string title;
    bool right = false;
    std::vector<std::string> cells{};
    size_t width = 0;
  };
  std::vector<Column> columns{{"date"}, {"host"},         {"disk"},       {"lv", true},  {"storage"},
                              {"pool"}, {"tape or file"}, {"file", true}, {"part", true}};
  for (const FindRow& row : rows) {
    const std::string cells[] = {readable(row.timestamp),
                                 row.host,
                                 base::quote(row.disk),
                                 std::to_string(row.level),
                                 row.storage,
                                 row.pool,
                                 row.place,
                                 std::to_string(row.fileno),
                                 fmt::format("{}/{}", row.part, row.total)};
    for (size_t i = 0; i < columns.size(); ++i) columns[i].cells.push_back(cells[i]);
  }
  std::string text = "\n";
  for (Column& column : columns) {
    column.width = column.title.size();
    for (const std::string& cell : column.cells) column.width = std::max(column.width, cell.size());
    text += padded(column.title, column.width, false);
  }
  text += "status\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const Column& column : columns) {
      text += padded(column.cells[i], column.width, column.right);
    }
    text += rows[i].status + ' ' + rows[i].remark + '\n';
  }
  return text;
}

}  // namespace headrace::catalog
