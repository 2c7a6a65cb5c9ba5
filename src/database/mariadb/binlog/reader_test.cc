#include "database/mariadb/binlog/reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "database/mariadb/binlog/encode.h"
#include "database/mariadb/binlog/statement.h"
#include "database/testing/server_log.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

std::vector<Transaction> read_all(const LogArchive& archive, ReadOptions options = {}) {
    TransactionReader reader(archive, std::move(options));
    std::vector<Transaction> all;
    Transaction transaction;
    while (reader.next(transaction)) all.push_back(transaction);
    return all;
}

// A server with three files of work, and its log.
class ReaderTest : public testing::Test {
  protected:
    ReaderTest() {
        server_.run("CREATE DATABASE t");
        connection_ = server_.connect("t");
        run("CREATE TABLE a (id INT PRIMARY KEY, x INT)");
        run("CREATE TABLE m (id INT) ENGINE=MyISAM");
        run("BEGIN");
        run("INSERT INTO a VALUES (1,1),(2,2),(3,3)");
        run("UPDATE a SET x = 9 WHERE id < 3");
        run("COMMIT");
        run("FLUSH BINARY LOGS");
        run("INSERT INTO m VALUES (1),(2)");
        run("DELETE FROM a WHERE id = 1");
        run("SET STATEMENT binlog_format=STATEMENT FOR UPDATE a SET x = 10");
        run("FLUSH BINARY LOGS");
        run("INSERT INTO a VALUES (10,10)");
        position_ = *connection_->value("SELECT @@gtid_binlog_pos");
    }
    void run(std::string_view sql) { connection_->execute(sql); }
    std::string file(int number) const {
        return fmt::format("{}/0001-test/bin.{:06}", folder_.path(), number);
    }
    Bytes file_bytes(int number) const { return os::read_file(file(number)); }
    void write(int number, ByteView bytes) { os::write_file_atomically(file(number), bytes); }

    TestServer server_;
    storage::TestFolder folder_;
    std::unique_ptr<sql::MariadbConnection> connection_;
    std::string position_;
};

TEST_F(ReaderTest, GivesEveryTransactionWithItsTables) {
    auto archive = archive_log(server_, folder_.path());
    TransactionReader reader(*archive);
    std::vector<Transaction> all;
    for (Transaction t; reader.next(t);) all.push_back(t);
    ASSERT_EQ(all.size(), 8u);
    EXPECT_TRUE(reader.gaps().empty());
    EXPECT_EQ(reader.state().position(), position_);
    EXPECT_TRUE(all[0].ddl);
    EXPECT_NE(all[0].thread_id, 0u);
    EXPECT_EQ(all[1].tables, (std::vector<TableRows>{{"t", "a", 0, 0, 0}}));
    EXPECT_EQ(all[1].text, "CREATE TABLE a (id INT PRIMARY KEY, x INT)");
    EXPECT_EQ(all[3].tables, (std::vector<TableRows>{{"t", "a", 3, 2, 0}}));
    EXPECT_EQ(all[3].text,
              "INSERT INTO a VALUES (1,1),(2,2),(3,3)\nUPDATE a SET x = 9 WHERE id < 3");
    EXPECT_FALSE(all[3].ddl);
    EXPECT_FALSE(all[3].statement_format);
    EXPECT_EQ(all[3].rows(), 5u);
    EXPECT_EQ(all[4].file, "bin.000002");
    EXPECT_EQ(all[4].tables, (std::vector<TableRows>{{"t", "m", 2, 0, 0}}));
    EXPECT_EQ(all[5].tables, (std::vector<TableRows>{{"t", "a", 0, 0, 1}}));
    EXPECT_TRUE(all[6].statement_format);
    EXPECT_FALSE(all[6].ddl);
    EXPECT_TRUE(all[6].tables.empty());
    EXPECT_EQ(all[7].file, "bin.000003");
    EXPECT_EQ(all[7].gtid.display(), position_);
    EXPECT_LT(all[7].start, all[7].end);
    EXPECT_GE(reader.offset(), all[7].end);
    uint64_t events = 0, next = all[3].start;
    visit_events(*archive, all[3], [&](const Event& event, const Format&, uint64_t offset) {
        EXPECT_EQ(offset, next);
        next += event.raw.size();
        return ++events > 0;
    });
    EXPECT_EQ(events, all[3].events);
    EXPECT_EQ(next, all[3].end);
}

TEST_F(ReaderTest, BeginsAfterAPositionOrAtAnOffset) {
    auto archive = archive_log(server_, folder_.path());
    auto all = read_all(*archive);
    for (size_t i = 0; i < all.size(); ++i) {
        GtidList after;
        after.add(all[i].gtid);
        auto later = read_all(*archive, {.incarnation = "0001-test", .after = after});
        ASSERT_EQ(later.size(), all.size() - i - 1);
        auto same = read_all(
            *archive, {.incarnation = "0001-test", .file = all[i].file, .offset = all[i].end});
        ASSERT_EQ(same.size(), later.size());
        if (later.empty()) continue;
        EXPECT_EQ(later[0].gtid, all[i + 1].gtid);
        EXPECT_EQ(same[0].start, all[i + 1].start);
    }
    storage::expect_error(ErrorKind::not_found,
                          [&] { read_all(*archive, {.incarnation = "0002-other"}); });
}

TEST_F(ReaderTest, AnUnfinishedTailIsNotGiven) {
    auto whole = archive_log(server_, folder_.path());
    auto all = read_all(*whole);
    Bytes last = file_bytes(3);
    // Cut the last file everywhere: its transaction is given only when it is all there.
    for (uint64_t size = 0; size <= last.size(); ++size) {
        write(3, ByteView(last).first(size));
        auto archive = open_log_folder(folder_.path());
        EXPECT_EQ(read_all(*archive).size(), all.size() - (size < all.back().end ? 1 : 0)) << size;
    }
}

TEST_F(ReaderTest, DamageNamesFileAndPlace) {
    auto whole = archive_log(server_, folder_.path());
    auto all = read_all(*whole);
    Bytes good = file_bytes(2);
    for (uint64_t at = all[4].start; at < all[4].end; ++at) {
        Bytes bad = good;
        bad[at] ^= 0x10;
        write(2, bad);
        auto archive = open_log_folder(folder_.path());
        Error error = storage::expect_error(ErrorKind::corrupt, [&] { read_all(*archive); });
        EXPECT_NE(error.message().find("0001-test/bin.000002 at "), std::string::npos)
            << error.message();
    }
}

TEST_F(ReaderTest, AMissingFileIsAGap) {
    copy_log(server_, folder_.path());
    std::filesystem::remove(file(2));
    auto archive = open_log_folder(folder_.path());
    storage::expect_error(ErrorKind::corrupt, [&] { read_all(*archive); });
    TransactionReader reader(*archive, {.stop_at_gap = false});
    size_t count = 0;
    for (Transaction t; reader.next(t);) ++count;
    EXPECT_EQ(count, 5u);
    ASSERT_EQ(reader.gaps().size(), 2u);  // the name, and the list
    EXPECT_EQ(reader.gaps()[0].after, "bin.000001");
    EXPECT_EQ(reader.gaps()[0].before, "bin.000003");
    EXPECT_EQ(reader.state().position(), position_);
}

TEST_F(ReaderTest, ACutFileInTheMiddleIsAGap) {
    auto whole = archive_log(server_, folder_.path());
    auto all = read_all(*whole);
    Bytes second = file_bytes(2);
    write(2, ByteView(second).first(all[6].start));
    auto archive = open_log_folder(folder_.path());
    Error error = storage::expect_error(ErrorKind::corrupt, [&] { read_all(*archive); });
    EXPECT_NE(error.message().find("are missing"), std::string::npos) << error.message();
    // Without its Rotate alone nothing is lost.
    write(2, ByteView(second).first(all[6].end));
    EXPECT_EQ(read_all(*open_log_folder(folder_.path())).size(), all.size());
}

TEST_F(ReaderTest, XaAndRollbacks) {
    run("XA START 'x'");
    run("INSERT INTO a VALUES (20,1)");
    run("XA END 'x'");
    run("XA PREPARE 'x'");
    run("XA COMMIT 'x'");
    run("BEGIN");
    run("INSERT INTO a VALUES (21,1)");
    run("SAVEPOINT s");
    run("INSERT INTO m VALUES (21)");
    run("ROLLBACK TO s");
    run("COMMIT");
    run("CREATE TABLE c AS SELECT * FROM a");
    run("TRUNCATE TABLE c");
    run("CREATE USER someone");
    auto all = read_all(*archive_log(server_, folder_.path()));
    auto find = [&](std::string_view text) {
        auto at = std::ranges::find_if(
            all, [&](const Transaction& t) { return t.text.find(text) != std::string::npos; });
        EXPECT_NE(at, all.end()) << text;
        return *at;
    };
    EXPECT_TRUE(find("(20,1)").xa_prepare);
    EXPECT_FALSE(find("XA COMMIT").ddl);
    EXPECT_FALSE(find("XA COMMIT").statement_format);
    EXPECT_FALSE(find("(21,1)").statement_format);
    EXPECT_TRUE(find("CREATE USER").ddl);
    EXPECT_TRUE(find("TRUNCATE").ddl);
    EXPECT_EQ(all.back().gtid.display(), *connection_->value("SELECT @@gtid_binlog_pos"));
}

TEST_F(ReaderTest, LoadDataAsAStatement) {
    run("SET SESSION binlog_format=STATEMENT");
    bool sent = false;
    connection_->load_local("LOAD DATA LOCAL INFILE 'x' INTO TABLE a", [&](char* to, size_t) {
        memcpy(to, "100\t1\n", sent ? 0 : 6);
        return std::exchange(sent, true) ? size_t{0} : size_t{6};
    });
    run("SET @x = 5");
    run("INSERT INTO a VALUES (@x + 200, RAND())");
    auto all = read_all(*archive_log(server_, folder_.path()));
    ASSERT_EQ(all.size(), 10u);
    EXPECT_TRUE(all[8].statement_format);
    EXPECT_NE(all[8].text.find("LOAD DATA"), std::string::npos);
    EXPECT_TRUE(all[9].statement_format);
    bool variable = false;
    auto archive = open_log_folder(folder_.path());
    visit_events(*archive, all[9], [&](const Event& event, const Format&, uint64_t) {
        if (event.header.type != EventType::user_var) return true;
        UserVarEvent var = decode_user_var(event);
        EXPECT_EQ(var.name, "x");
        EXPECT_EQ(var.type, 2);
        variable = var.value.size() == 8 && var.value[0] == 5;
        return true;
    });
    EXPECT_TRUE(variable);
}

TEST_F(ReaderTest, ReadsNoMoreThanItNeeds) {
    class Counting : public LogArchive {
      public:
        explicit Counting(const LogArchive& archive) : archive_(archive) {}
        const std::vector<LogSegment>& segments() const override { return archive_.segments(); }
        size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
            bytes += out.size();
            return archive_.read(number, offset, out);
        }
        mutable uint64_t bytes = 0;

      private:
        const LogArchive& archive_;
    };
    run("INSERT INTO a SELECT seq + 1000, 1 FROM seq_1_to_100000");
    auto archive = archive_log(server_, folder_.path());
    auto all = read_all(*archive);
    EXPECT_EQ(all.back().tables, (std::vector<TableRows>{{"t", "a", 100'000, 0, 0}}));
    Counting counting(*archive);
    visit_events(counting, all[7], [](const Event&, const Format&, uint64_t) { return true; });
    EXPECT_LT(counting.bytes, 3000u);
    EXPECT_TRUE(state_at_start(counting, 2));
    EXPECT_LT(counting.bytes, 8000u);
    counting.bytes = 0;
    visit_events(counting, all.back(), [](const Event&, const Format&, uint64_t) { return true; });
    EXPECT_LT(counting.bytes, all.back().bytes() * 5 / 4);
}

TEST_F(ReaderTest, OurEventsAreAsTheServersOwn) {
    auto archive = archive_log(server_, folder_.path());
    auto all = read_all(*archive);
    visit_events(*archive, all[3], [&](const Event& event, const Format& format, uint64_t) {
        EventHeader h = event.header;
        EXPECT_TRUE(format.checksums);
        EXPECT_EQ(build_event(h, event.body, true), to_bytes(event.raw));
        EXPECT_EQ(restamp(restamp(event.raw, 7, true), h.next_position, true), to_bytes(event.raw));
        EXPECT_EQ(with_checksum(with_checksum(event.raw, true, false), false, true),
                  to_bytes(event.raw));
        if (h.type == EventType::xid) {
            EXPECT_EQ(
                make_xid_event(decode_xid(event), h.server_id, h.timestamp, h.next_position, true),
                to_bytes(event.raw));
        }
        if (h.type == EventType::gtid) {
            Bytes made = make_gtid_event(decode_gtid(event), h.timestamp, h.next_position, true);
            made[17] = event.raw[17];  // the server marks it; the flags of the header differ
            EXPECT_EQ(restamp(made, h.next_position, true), to_bytes(event.raw));
        }
        return true;
    });
    LogFileReader file(*archive, 2);
    for (Event event; file.next(event);) {
        if (event.header.type == EventType::format_description) {
            Format off = decode_format(split_event(describe_checksums(event.raw, false), Format{}));
            EXPECT_FALSE(off.checksums);
            Bytes again = describe_checksums(describe_checksums(event.raw, false), true);
            EXPECT_TRUE(decode_format(split_event(again, Format{})).checksums);
        }
        if (event.header.type == EventType::gtid_list) {
            EXPECT_EQ(decode_gtid_list(event), *state_at_start(*archive, 2));
        }
    }
}

TEST(StatementTest, ATextIsCutIntoItsStatements) {
    using Texts = std::vector<std::string>;
    EXPECT_EQ(statements_of(""), Texts());
    EXPECT_EQ(statements_of(" ;\n-- a; b\n; /* c; */ # d;"), Texts());
    EXPECT_EQ(statements_of("SELECT 1"), Texts{"SELECT 1"});
    EXPECT_EQ(statements_of("a 'x;''y\\';' b ; c \"z;\"\n;\nd `e;\\`;f"),
              (Texts{"a 'x;''y\\';' b", "c \"z;\"", "d `e;\\`", "f"}));
    EXPECT_EQ(statements_of("-- first;\nSELECT 1 -- it's;\n+ 2--1; /*!50000 SELECT 3 */;"),
              (Texts{"-- first;\nSELECT 1 -- it's;\n+ 2--1", "/*!50000 SELECT 3 */"}));
    EXPECT_EQ(statements_of("SELECT 'open;"), Texts{"SELECT 'open;"});
    EXPECT_EQ(used_database("/* x */ use `a``b`"), "a`b");
    EXPECT_EQ(used_database("USER x"), "");
}

TEST(Statements, NameTheTablesOfDdl) {
    using Names = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(named_tables("CREATE TABLE IF NOT EXISTS a (x INT)", "t"), (Names{{"t", "a"}}));
    EXPECT_EQ(named_tables("alter table `o``dd`.`b c` add y int", "t"), (Names{{"o`dd", "b c"}}));
    EXPECT_EQ(named_tables("DROP TABLE IF EXISTS a, u.b /* generated */", "t"),
              (Names{{"t", "a"}, {"u", "b"}}));
    EXPECT_EQ(named_tables("TRUNCATE a", "t"), (Names{{"t", "a"}}));
    EXPECT_EQ(named_tables("RENAME TABLE a TO b, c TO d.e", "t"),
              (Names{{"t", "a"}, {"t", "b"}, {"t", "c"}, {"d", "e"}}));
    EXPECT_EQ(named_tables("CREATE USER a", "t"), Names{});
    EXPECT_EQ(named_tables("DROP TABLE", "t"), Names{});
}

TEST(Statements, BecomeValidUtf8) {
    EXPECT_EQ(valid_utf8("aß€😀"), "aß€😀");
    EXPECT_EQ(valid_utf8("\xe4x\xed\xa0\x80"), "\ufffdx\ufffd\ufffd\ufffd");
    EXPECT_EQ(valid_utf8("\xe2\x82"), "\ufffd\ufffd");
}

TEST(Statements, AreKnownByTheirFirstWords) {
    using Kind = StatementKind;
    EXPECT_EQ(statement_kind("insert into a values (1)"), Kind::rows);
    EXPECT_EQ(statement_kind(" /* c */ # x\n(DELETE FROM a)"), Kind::rows);
    EXPECT_EQ(statement_kind("/*!40000 ALTER TABLE a DISABLE KEYS */"), Kind::other);
    EXPECT_EQ(statement_kind("/*M!100100 update a set x=1 */"), Kind::rows);
    EXPECT_EQ(statement_kind("ROLLBACK TO `s`"), Kind::savepoint);
    EXPECT_EQ(statement_kind("rollback"), Kind::rollback);
    EXPECT_EQ(statement_kind("SET STATEMENT max_statement_time=1 FOR DELETE FROM a"), Kind::rows);
    EXPECT_EQ(statement_kind("SET PASSWORD FOR x = 'y'"), Kind::other);
    EXPECT_EQ(statement_kind(""), Kind::other);
    EXPECT_EQ(statement_kind("/* never ends"), Kind::other);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
