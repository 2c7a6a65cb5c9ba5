#include "database/mariadb/timeline/timeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "database/testing/server_log.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

class TimelineTest : public testing::Test {
  protected:
    TimelineTest() {
        connection_ = server_.connect();
        at(999, "CREATE DATABASE t");
        connection_->execute("USE t");
        at(1000, "CREATE TABLE customers (id INT PRIMARY KEY, x INT)");
        at(1001, "CREATE TABLE orders (id INT PRIMARY KEY, x INT)");
        at(1010, "INSERT INTO customers SELECT seq, 0 FROM seq_1_to_100");
        at(1020, "UPDATE customers SET x = 1 WHERE id <= 10");
        connection_->execute("FLUSH BINARY LOGS");
        at(1030, "INSERT INTO orders VALUES (1, 50)");
        at(1040, "DELETE FROM customers WHERE id > 50");
        at(1035, "UPDATE orders SET x = 2");  // began before the delete
        at(1050, "ALTER TABLE orders ADD y INT");
    }
    void at(int time, const std::string& sql) {
        connection_->execute(fmt::format("SET timestamp={}", 1'700'000'000 + time));
        connection_->execute(sql);
    }
    static Time time(int offset) { return {.seconds = 1'700'000'000 + offset}; }
    std::string path() const { return folder_ / "timeline.sqlite"; }
    std::string logs() const { return folder_ / "logs"; }
    std::string log_file(const std::string& name) const { return logs() + "/0001-test/" + name; }
    std::vector<std::string> texts(Timeline& timeline, TimelineFilter filter) {
        filter.newest_first = false;
        std::vector<std::string> out;
        for (const Transaction& t : timeline.query(filter)) out.push_back(t.text.substr(0, 12));
        EXPECT_EQ(timeline.count(filter), out.size());
        return out;
    }

    TestServer server_;
    storage::TestFolder folder_;
    std::unique_ptr<sql::MariadbConnection> connection_;
};
using Texts = std::vector<std::string>;

TEST_F(TimelineTest, AnswersQuestions) {
    auto archive = archive_log(server_, logs());
    Timeline timeline(path());
    EXPECT_EQ(timeline.update(*archive).added, 9u);
    EXPECT_EQ(timeline.size(), 9u);
    EXPECT_EQ(texts(timeline, {.kinds = {ChangeKind::deleted}}), (Texts{"DELETE FROM "}));
    EXPECT_EQ(texts(timeline, {.tables = {"t.ord*"}, .kinds = {ChangeKind::updated}}),
              (Texts{"UPDATE order"}));
    EXPECT_EQ(texts(timeline, {.tables = {"orders"}}),
              (Texts{"CREATE TABLE", "INSERT INTO ", "UPDATE order", "ALTER TABLE "}));
    EXPECT_EQ(texts(timeline, {.tables = {"u.*"}}), Texts{});
    EXPECT_EQ(texts(timeline, {.min_rows = 50}), (Texts{"INSERT INTO ", "DELETE FROM "}));
    EXPECT_EQ(texts(timeline, {.kinds = {ChangeKind::inserted}, .min_rows = 50}),
              (Texts{"INSERT INTO "}));
    EXPECT_EQ(texts(timeline, {.tables = {"orders"}, .ddl = true}),
              (Texts{"CREATE TABLE", "ALTER TABLE "}));
    EXPECT_EQ(texts(timeline, {.kinds = {ChangeKind::deleted}, .ddl = true}).size(), 5u);
    EXPECT_EQ(texts(timeline, {.text = "where ID"}), (Texts{"UPDATE custo", "DELETE FROM "}));
    EXPECT_EQ(texts(timeline, {.text = "100%"}), Texts{});
    EXPECT_EQ(texts(timeline, {.from = time(1020), .to = time(1030)}),
              (Texts{"UPDATE custo", "INSERT INTO "}));
    EXPECT_EQ(texts(timeline, {.from_gtid = Gtid{0, 1, 4}, .to_gtid = Gtid{0, 1, 5}}).size(), 2u);
    EXPECT_EQ(texts(timeline, {.incarnation = "0002"}), Texts{});
    auto page = timeline.query({.limit = 1, .skip = 1});
    ASSERT_EQ(page.size(), 1u);
    EXPECT_EQ(page[0].text, "UPDATE orders SET x = 2");
}

TEST_F(TimelineTest, GivesWhatTheReaderGives) {
    auto archive = archive_log(server_, logs());
    Timeline timeline(path());
    timeline.update(*archive);
    TransactionReader reader(*archive);
    for (Transaction t; reader.next(t);) {
        auto found = timeline.find(t.gtid);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found[0].text, t.text);
        EXPECT_EQ(found[0].tables, t.tables);
        EXPECT_EQ(found[0].time, t.time);
        EXPECT_EQ(std::tie(found[0].file, found[0].start, found[0].end, found[0].events),
                  std::tie(t.file, t.start, t.end, t.events));
        EXPECT_EQ(found[0].ddl, t.ddl);
        EXPECT_EQ(found[0].thread_id, t.thread_id);
    }
    auto intervals = timeline.intervals();
    ASSERT_EQ(intervals.size(), 1u);
    EXPECT_EQ(intervals[0].start_state, "");
    EXPECT_EQ(intervals[0].end_position, reader.state().position());
    EXPECT_EQ(intervals[0].transactions, 9u);
    EXPECT_EQ(intervals[0].last_time, time(1050));
}

TEST_F(TimelineTest, FindsTheLastTransactionOfATime) {
    Timeline timeline(path());
    timeline.update(*archive_log(server_, logs()));
    EXPECT_FALSE(timeline.last_at(time(0)));
    EXPECT_EQ(timeline.last_at(time(1025))->text.substr(0, 16), "UPDATE customers");
    EXPECT_EQ(timeline.last_at(time(1037))->text.substr(0, 18), "INSERT INTO orders");
    EXPECT_EQ(timeline.last_at(time(1040))->text.substr(0, 13), "UPDATE orders");
    EXPECT_EQ(timeline.last_at(time(9999))->text.substr(0, 11), "ALTER TABLE");
}

TEST_F(TimelineTest, GoesOnWhereItStopped) {
    auto archive = archive_log(server_, logs());
    Bytes last = os::read_file(log_file("bin.000002"));
    // The last file grows by a few bytes at a time; each transaction comes once.
    for (size_t size = 0; size <= last.size(); size += 37) {
        os::write_file_atomically(log_file("bin.000002"), ByteView(last).first(size));
        Timeline timeline(path());
        EXPECT_FALSE(timeline.update(*open_log_folder(logs())).rebuilt);
    }
    copy_log(server_, logs());
    {
        Timeline timeline(path());
        timeline.update(*open_log_folder(logs()));
        EXPECT_EQ(timeline.size(), 9u);
        connection_->execute("FLUSH BINARY LOGS");
        at(1060, "INSERT INTO customers VALUES (1000, 1)");
        copy_log(server_, logs());
        TimelineUpdate update = timeline.update(*open_log_folder(logs()));
        EXPECT_EQ(update.added, 1u);
        EXPECT_FALSE(update.rebuilt);
        EXPECT_EQ(timeline.intervals().size(), 1u);
        EXPECT_EQ(timeline.update(*open_log_folder(logs())).added, 0u);
    }
    Timeline timeline(path());
    // Retention took the first file.
    std::filesystem::remove(log_file("bin.000001"));
    EXPECT_FALSE(timeline.update(*open_log_folder(logs())).rebuilt);
    EXPECT_EQ(timeline.size(), 5u);
    ASSERT_EQ(timeline.intervals().size(), 1u);
    EXPECT_EQ(timeline.intervals()[0].start_state, "0-1-5");
    EXPECT_EQ(timeline.intervals()[0].first.display(), "0-1-6");
    EXPECT_TRUE(timeline.gaps().empty());
}

TEST_F(TimelineTest, IsExtendedFromASpoolThatHasOnlyTheNewest) {
    auto archive = archive_log(server_, logs());
    {
        Timeline timeline(path());
        EXPECT_EQ(timeline.extend(*archive).added, 9u);
    }
    std::filesystem::path first = log_file("bin.000001"), away = folder_ / "away";
    std::filesystem::rename(first, away);
    connection_->execute("FLUSH BINARY LOGS");
    at(1060, "INSERT INTO customers VALUES (1000, 1)");
    copy_log(server_, logs());
    std::filesystem::remove(first);
    {
        Timeline timeline(path());
        EXPECT_EQ(timeline.extend(*open_log_folder(logs())).added, 1u);
        EXPECT_EQ(timeline.extend(*open_log_folder(logs())).added, 0u);
        EXPECT_EQ(timeline.size(), 10u);
    }
    // A spool that does not join on, or an empty one, changes nothing.
    connection_->execute("FLUSH BINARY LOGS");
    at(1070, "INSERT INTO customers VALUES (1001, 1)");
    copy_log(server_, logs());
    for (const char* name : {"bin.000001", "bin.000002", "bin.000003"})
        std::filesystem::remove(log_file(name));
    storage::TestFolder empty;
    Timeline timeline(path());
    EXPECT_EQ(timeline.extend(*open_log_folder(logs())).added, 0u);
    EXPECT_EQ(timeline.extend(*open_log_folder(empty.path())).added, 0u);
    EXPECT_EQ(timeline.size(), 10u);
    // The whole archive then adds what is missing, and makes nothing anew.
    copy_log(server_, logs());
    TimelineUpdate update = timeline.update(*open_log_folder(logs()));
    EXPECT_EQ(update.added, 1u);
    EXPECT_FALSE(update.rebuilt);
}

TEST_F(TimelineTest, IsMadeAnewWhenItDoesNotFit) {
    auto archive = archive_log(server_, logs());
    {
        Timeline timeline(path());
        timeline.update(*archive);
    }
    os::write_file_atomically(path(), as_bytes("this is no database, but it is long enough"));
    {
        Timeline timeline(path());
        EXPECT_EQ(timeline.size(), 0u);
        EXPECT_EQ(timeline.update(*archive).added, 9u);
    }
    // A page of the file is damaged.
    Bytes damaged = os::read_file(path());
    ASSERT_GT(damaged.size(), 20'000u);
    std::fill(damaged.begin() + 4096, damaged.end(), 0xee);
    os::write_file_atomically(path(), damaged);
    {
        Timeline timeline(path());
        EXPECT_EQ(timeline.update(*archive).added, 9u);
        EXPECT_EQ(timeline.size(), 9u);
    }
    // Another server's log of the same names.
    TestServer other;
    other.run("CREATE DATABASE t");
    other.run("CREATE DATABASE u");
    other.run("FLUSH BINARY LOGS");
    other.run("CREATE DATABASE v");
    storage::TestFolder elsewhere;
    auto another = archive_log(other, elsewhere.path());
    Timeline timeline(path());
    TimelineUpdate update = timeline.update(*another);
    EXPECT_TRUE(update.rebuilt);
    EXPECT_EQ(update.added, 3u);
    EXPECT_EQ(timeline.size(), 3u);
}

TEST_F(TimelineTest, DamageAndMissingFilesAreGaps) {
    connection_->execute("FLUSH BINARY LOGS");
    at(1060, "INSERT INTO customers VALUES (1000, 1)");
    copy_log(server_, logs());
    Bytes second = os::read_file(log_file("bin.000002"));
    second[second.size() / 2] ^= 1;
    os::write_file_atomically(log_file("bin.000002"), second);
    Timeline timeline(path());
    timeline.update(*open_log_folder(logs()));
    auto gaps = timeline.gaps();
    ASSERT_FALSE(gaps.empty());
    EXPECT_NE(gaps[0].reason.find("bin.000002 at "), std::string::npos) << gaps[0].reason;
    auto intervals = timeline.intervals();
    ASSERT_EQ(intervals.size(), 2u);
    EXPECT_EQ(intervals[1].first, intervals[1].last);
    EXPECT_EQ(intervals[1].start_state, "0-1-9");
    EXPECT_EQ(timeline.update(*open_log_folder(logs())).added, 0u);
    EXPECT_EQ(timeline.gaps().size(), gaps.size());
}

TEST_F(TimelineTest, IncarnationsStandApart) {
    copy_log(server_, logs(), "0001-a");
    TestServer other({.server_id = 2});
    other.run("CREATE DATABASE late");
    copy_log(other, logs(), "0002-b");
    Timeline timeline(path());
    timeline.update(*open_log_folder(logs()));
    auto intervals = timeline.intervals();
    ASSERT_EQ(intervals.size(), 2u);
    EXPECT_EQ(intervals[0].incarnation, "0001-a");
    EXPECT_EQ(intervals[1].first, (Gtid{0, 2, 1}));
    EXPECT_TRUE(timeline.gaps().empty());
    EXPECT_EQ(timeline.last_at(time(1030))->incarnation, "0001-a");
}

}  // namespace
}  // namespace sevenfold::database::mariadb
