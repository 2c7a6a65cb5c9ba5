// A CREATE TABLE taken apart: keys and foreign keys are added after the rows, which is several
// times faster than keeping them while rows come.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::database::mariadb {

struct SplitTable {
    std::string create;                  // without what comes later
    std::vector<std::string> keys;       // "ADD KEY …", for one ALTER TABLE
    std::vector<std::string> full_text;  // "ADD FULLTEXT KEY …": one ALTER TABLE each
    std::vector<std::string> foreign_keys;
    bool counter = false;  // has an AUTO_INCREMENT column
};
// `create` is what SHOW CREATE TABLE prints. Tables for which it would not be safe or of no use
// (not InnoDB, partitioned, system versioned, `small`) keep their keys; foreign keys always come
// later.
SplitTable split_table(std::string_view create, bool small = false);

}  // namespace sevenfold::database::mariadb
