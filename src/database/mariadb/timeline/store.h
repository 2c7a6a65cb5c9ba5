// SQLite as the timeline needs it: an open file, statements with their parameters, errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace sevenfold::database::mariadb {

// Throws Error: corrupt when the file is not what it should be, no_space, else io.
class Store {
  public:
    explicit Store(std::string path);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    void execute(const char* sql);
    int64_t last_row() const;
    sqlite3* handle() const { return db_; }
    [[noreturn]] void fail(std::string_view what) const;

  private:
    std::string path_;
    sqlite3* db_ = nullptr;
};

// A prepared statement. Parameters are bound in order, from 1 on, after each reset.
class StoreQuery {
  public:
    StoreQuery(Store& store, std::string_view sql);
    ~StoreQuery();
    StoreQuery(const StoreQuery&) = delete;
    StoreQuery& operator=(const StoreQuery&) = delete;

    StoreQuery& bind(std::string_view text);
    StoreQuery& bind(int64_t number);
    bool step();  // true: there is a row
    void run();   // to its end, and ready for new parameters
    void reset();
    int64_t number(int column) const;
    std::string text(int column) const;

  private:
    Store& store_;
    sqlite3_stmt* statement_ = nullptr;
    int next_ = 1;
};

}  // namespace sevenfold::database::mariadb
