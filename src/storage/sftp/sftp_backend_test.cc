#include "storage/sftp/sftp_backend.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/parallel.h"
#include "net/ssh_command.h"
#include "storage/open.h"
#include "storage/testing/sshd.h"

namespace sevenfold::storage {
namespace {

namespace fs = std::filesystem;

// One server for all tests of this file; each uses folders of its own.
TestSshd& server() {
    static TestSshd sshd;
    return sshd;
}

std::string fresh_name() {
    static std::atomic<int> count{0};
    return "repo" + std::to_string(++count);
}

std::unique_ptr<SftpBackend> direct(const std::string& command, const std::string& path,
                                    std::chrono::nanoseconds timeout = std::chrono::seconds(30)) {
    return std::make_unique<SftpBackend>(
        path, SftpConnectionOptions{.command = os::split_command(command),
                                    .location = "sftp:test",
                                    .stall_timeout = timeout});
}

struct SshdPlace : ContractPlace {
    std::string name = fresh_name();
    std::unique_ptr<Backend> open() override {
        return open_backend(server().location(name), server().options());
    }
    ~SshdPlace() override { fs::remove_all(server().folder() + "/" + name); }
};

INSTANTIATE_TEST_SUITE_P(
    Sftp, BackendContract,
    testing::Values(contract("sshd", [] { return std::make_unique<SshdPlace>(); }),
                    folder_contract("sftp_server",
                                    [](const std::string& path) {
                                        return direct("/usr/lib/openssh/sftp-server", path);
                                    }),
                    // Without the extensions that make life easy.
                    folder_contract("bare_server",
                                    [](const std::string& path) {
                                        return direct(
                                            "/usr/lib/openssh/sftp-server -P "
                                            "posix-rename,fsync,limits,"
                                            "statvfs,fstatvfs",
                                            path);
                                    })),
    contract_name);

class SftpTest : public testing::Test {
  protected:
    std::string name_ = fresh_name();
    std::string path_ = server().folder() + "/" + name_;
    std::unique_ptr<Backend> open(const BackendOptions& options) {
        return open_backend(server().location(name_), options);
    }
    std::vector<std::string> files() {
        std::vector<std::string> out;
        for (const auto& entry : fs::recursive_directory_iterator(path_))
            if (entry.is_regular_file()) out.push_back(entry.path().filename());
        return out;
    }
};

TEST_F(SftpTest, HasResticsLayoutAndModes) {
    auto backend = open(server().options());
    EXPECT_EQ(backend->location(), "sftp:loopback:" + path_);
    backend->create();
    backend->store({FileType::config}, as_bytes("x"));
    for (const char* name : {"keys", "locks", "snapshots", "index", "data/00", "data/ff"})
        EXPECT_EQ(fs::status(path_ + "/" + name).permissions(), fs::perms::owner_all) << name;
    EXPECT_EQ(fs::status(path_ + "/config").permissions(),
              fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_GT(backend->free_space().value(), 0u);
    EXPECT_TRUE(backend->capabilities().remote);
}

TEST_F(SftpTest, MakesMissingFoldersButNeverTheRoot) {
    auto backend = open(server().options());
    backend->create();
    fs::remove_all(path_ + "/data");
    fs::remove_all(path_ + "/index");
    EXPECT_TRUE(backend->list_all(FileType::pack).empty());
    backend->store(test_name(FileType::pack, 1), as_bytes("x"));
    backend->store(test_name(FileType::index, 1), as_bytes("x"));
    EXPECT_EQ(backend->list_all(FileType::pack).size(), 1u);
    fs::remove_all(path_);
    expect_error(ErrorKind::not_found,
                 [&] { backend->store(test_name(FileType::pack, 1), as_bytes("x")); });
    expect_error(ErrorKind::not_found, [&] { backend->list_all(FileType::snapshot); });
    expect_error(ErrorKind::not_found, [&] { backend->list_all(FileType::pack); });
    EXPECT_FALSE(fs::exists(path_));
}

TEST_F(SftpTest, ListingSkipsPacksInWrongFolders) {
    auto backend = open(server().options());
    backend->create();
    FileName pack = test_name(FileType::pack, 1);
    backend->store(pack, as_bytes("x"));
    std::string hex = pack.id.hex().substr(2);
    fs::create_directory(path_ + "/data/AB");
    std::ofstream(path_ + "/data/AB/ab" + hex) << "z";
    std::ofstream(path_ + "/data/cd/ab" + hex) << "z";
    auto listed = backend->list_all(FileType::pack);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].id, pack.id);
}

TEST_F(SftpTest, ConnectionCutMidStoreLeavesNothingUnderTheName) {
    ConnectionCutter cutter(server().port());
    auto backend = open(server().options(cutter.port()));
    backend->create();
    FileName name = test_name(FileType::pack, 1);
    Bytes body = test_body(8 << 20, 1);
    for (int64_t bytes : {1'000, 500'000, 5'000'000}) {
        cutter.cut_after_up(bytes);
        Error error = expect_error(ErrorKind::network, [&] { backend->store(name, body); });
        EXPECT_THAT(error.message(), testing::HasSubstr("sftp:loopback"));
        EXPECT_FALSE(
            fs::exists(path_ + "/data/" + name.id.hex().substr(0, 2) + "/" + name.id.hex()));
    }
    EXPECT_EQ(cutter.cuts(), 3);
    backend->store(name, body);
    EXPECT_EQ(backend->load_all(name, UINT64_MAX), body);
    EXPECT_EQ(files(), std::vector<std::string>{name.id.hex()});  // the leftovers are gone
}

// Left by runs of which no process remembers anything.
TEST_F(SftpTest, StoreRemovesOldLeftoversOnly) {
    FileName pack = test_name(FileType::pack, 1), index = test_name(FileType::index, 1);
    auto first = open(server().options());
    first->create();
    first->store({FileType::config}, as_bytes("x"));
    std::string dir = path_ + "/data/" + pack.id.hex().substr(0, 2) + "/";
    auto leave = [&](const std::string& path, int hours) {
        std::ofstream(path) << "z";
        fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
        return path;
    };
    std::string ours = leave(dir + pack.id.hex() + "-tmp-0123456789abcdef", 25),
                restics = leave(dir + pack.id.hex() + "-restic-temp-" + std::string(32, 'a'), 25),
                young = leave(dir + pack.id.hex() + "-tmp-fedcba9876543210", 23),
                foreign = leave(dir + pack.id.hex() + "-tmp-mine", 25),
                of_index = leave(path_ + "/index/" + index.id.hex() + "-tmp-1234", 25);
    auto second = open(server().options());
    second->store(pack, as_bytes("x"));
    for (const std::string& gone : {ours, restics}) EXPECT_FALSE(fs::exists(gone)) << gone;
    for (const std::string& kept : {young, foreign, of_index})
        EXPECT_TRUE(fs::exists(kept)) << kept;
    second->store(index, as_bytes("x"));
    EXPECT_FALSE(fs::exists(of_index));
}

TEST_F(SftpTest, ConnectionCutMidLoad) {
    ConnectionCutter cutter(server().port());
    auto backend = open(server().options(cutter.port()));
    backend->create();
    FileName name = test_name(FileType::pack, 1);
    Bytes body = test_body(8 << 20, 1);
    backend->store(name, body);
    for (int64_t bytes : {1'000, 3'000'000}) {
        cutter.cut_after_down(bytes);
        expect_error(ErrorKind::network, [&] { backend->load_all(name, UINT64_MAX); });
    }
    EXPECT_EQ(backend->load_all(name, UINT64_MAX), body);
}

TEST_F(SftpTest, ListingThatBreaksOffIsAnError) {
    ConnectionCutter cutter(server().port());
    auto backend = open(server().options(cutter.port()));
    backend->create();
    for (uint64_t i = 0; i < 100; ++i) backend->store(test_name(FileType::snapshot, i), {});
    cutter.cut_after_down(5'000);
    size_t seen = 0;
    expect_error(ErrorKind::network,
                 [&] { backend->list(FileType::snapshot, [&](const FileInfo&) { ++seen; }); });
    EXPECT_EQ(seen, 0u);
    EXPECT_EQ(backend->list_all(FileType::snapshot).size(), 100u);
}

TEST_F(SftpTest, KilledSshIsStartedAgain) {
    SftpBackend backend(path_, {.command = net::ssh_subsystem_command({"x", "", 0}, "sftp",
                                                                      server().ssh_args(), false),
                                .location = "sftp:x"});
    backend.create();
    pid_t first = backend.connection_pid();
    ASSERT_GT(first, 0);
    ::kill(first, SIGKILL);
    FileName name = test_name(FileType::pack, 1);
    // The end is noticed by the reader thread or by the next call, whichever comes first.
    for (int attempt = 0; backend.connection_pid() == first || !backend.exists(name); ++attempt) {
        ASSERT_LT(attempt, 10);
        try {
            backend.store(name, test_body(100'000, 1));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::network) << error.message();
        }
    }
    EXPECT_NE(backend.connection_pid(), first);
    EXPECT_EQ(backend.load_all(name, UINT64_MAX), test_body(100'000, 1));
}

TEST_F(SftpTest, ThreadsShareOneConnectionAndItsFailure) {
    ConnectionCutter cutter(server().port());
    auto backend = open(server().options(cutter.port()));
    backend->create();
    cutter.cut_after_up(6'000'000);
    std::atomic<int> failures{0};
    parallel_for(12, 6, [&](size_t i) {
        for (;;) {
            try {
                backend->store(test_name(FileType::pack, i), test_body(2'000'000, i));
                break;
            } catch (const Error& error) {
                EXPECT_EQ(error.kind(), ErrorKind::network) << error.message();
                ++failures;
            }
        }
    });
    EXPECT_GT(failures, 0);
    EXPECT_EQ(cutter.connections(), 2);
    for (size_t i = 0; i < 12; ++i)
        EXPECT_EQ(backend->load_all(test_name(FileType::pack, i), UINT64_MAX),
                  test_body(2'000'000, i));
}

// The whole stack as the program opens it: cuts in the middle are never seen above.
TEST_F(SftpTest, RetriesHideCuts) {
    ConnectionCutter cutter(server().port());
    auto options = server().options(cutter.port());
    options.retry_for = std::chrono::minutes(2);
    options.connections = 3;
    auto backend = open(options);
    backend->create();
    std::atomic<int> done{0};
    parallel_for(9, 3, [&](size_t i) {
        if (i % 3 == 1) cutter.cut_after_up(1'000'000);
        if (i % 3 == 2) cutter.cut_after_down(100'000);
        FileName name = test_name(FileType::pack, i);
        backend->store(name, test_body(2'000'000, i));
        EXPECT_EQ(backend->load_all(name), test_body(2'000'000, i));
        ++done;
    });
    EXPECT_EQ(done, 9);
    EXPECT_GT(cutter.cuts(), 0);
    EXPECT_EQ(backend->list_all(FileType::pack).size(), 9u);
}

TEST_F(SftpTest, ServesRealRestic) {
    auto options = server().options();
    std::string command = "ssh";
    for (const std::string& arg : options.ssh_args) command += " " + arg;
    command += " loopback -s sftp";
    auto restic = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(),
                         {"restic", "--no-cache", "-o", "sftp.command=" + command, "-r",
                          "sftp:loopback:" + path_});
        return os::run_command({.argv = arguments, .environment = {{"RESTIC_PASSWORD", "pw"}}});
    };
    ASSERT_TRUE(restic({"init"}).status.ok());
    auto backend = open(options);
    EXPECT_EQ(backend->list_all(FileType::key).size(), 1u);
    expect_error(ErrorKind::exists, [&] { backend->create(); });
    // A copy of it made through our backends is a repository to restic.
    TestFolder copy;
    auto local = open_backend({.path = copy / "repo"}, {.retry_for = {}});
    local->create();
    for (FileType type : kListedTypes)
        for (const FileInfo& info : backend->list_all(type))
            local->store({type, info.id}, backend->load_all({type, info.id}));
    local->store({FileType::config}, backend->load_all({FileType::config}));
    auto check = os::run_command({.argv = {"restic", "--no-cache", "-r", copy / "repo", "check"},
                                  .environment = {{"RESTIC_PASSWORD", "pw"}}});
    EXPECT_TRUE(check.status.ok()) << check.errors;
}

TEST_F(SftpTest, StalledServerTimesOut) {
    ConnectionCutter cutter(server().port());
    auto options = server().options(cutter.port());
    FileName name = test_name(FileType::pack, 1);
    auto patient = open(options);
    patient->create();
    patient->store(name, test_body(1000, 1));
    options.stall_timeout = std::chrono::seconds(2);
    auto backend = open(options);
    // A busy machine may need longer than that, to connect above all.
    auto size_at_last = [&]() -> uint64_t {
        for (int attempt = 0; attempt < 30; ++attempt) try {
                return backend->size(name);
            } catch (const Error& error) {
                EXPECT_EQ(error.kind(), ErrorKind::timeout) << error.message();
            }
        return 0;
    };
    EXPECT_EQ(size_at_last(), 1000u);
    cutter.stall(true);
    expect_error(ErrorKind::timeout, [&] { backend->size(name); });
    cutter.stall(false);
    EXPECT_EQ(size_at_last(), 1000u);
}

TEST_F(SftpTest, UnknownHostKeyIsRefused) {
    auto options = server().options();
    options.ssh_args.insert(options.ssh_args.begin(), {"-o", "UserKnownHostsFile=/dev/null"});
    Error error = expect_error(ErrorKind::refused, [&] { open(options)->create(); });
    EXPECT_THAT(error.hint(), testing::HasSubstr("fingerprint"));
    EXPECT_FALSE(fs::exists(path_));
}

TEST_F(SftpTest, ChangedHostKeyIsRefused) {
    TestSshd other;
    auto options = other.options(server().port());  // the other's known_hosts, this server's key
    Error error = expect_error(ErrorKind::refused, [&] { open(options)->create(); });
    EXPECT_THAT(error.message(), testing::HasSubstr("host key has changed"));
}

TEST_F(SftpTest, UnknownUserKeyIsAPermissionError) {
    TestSshd other;
    auto options = server().options();
    options.ssh_args.insert(options.ssh_args.begin(),
                            {"-F", "/dev/null", "-o", "IdentityFile=" + other.user_key_path(), "-o",
                             "HostName=127.0.0.1", "-o", "HostKeyAlias=sevenfold-test", "-o",
                             "UserKnownHostsFile=" + server().known_hosts_path()});
    options.ssh_args.erase(options.ssh_args.end() - 4, options.ssh_args.end() - 2);  // our -F
    Error error = expect_error(ErrorKind::permission, [&] { open(options)->create(); });
    EXPECT_THAT(error.message(), testing::HasSubstr("Permission denied"));
}

TEST_F(SftpTest, NobodyListensIsANetworkError) {
    auto options = server().options(1);
    Error error = expect_error(ErrorKind::network, [&] { open(options)->create(); });
    EXPECT_THAT(error.message(), testing::HasSubstr("refused"));
}

TEST(Sftp, CreateSyncsEveryNewName) {
    TestFolder folder;
    auto backend =
        direct("sh -c 'exec /usr/lib/openssh/sftp-server -e -l VERBOSE 2>" + (folder / "log") + "'",
               folder / "a/b/repo");
    backend->create();
    std::set<std::string> synced;
    std::ifstream log(folder / "log");
    for (std::string line; std::getline(log, line);)
        if (line.starts_with("fsync ")) synced.insert(line.substr(0, line.rfind('"') + 1));
    for (const char* dir : {"", "/a", "/a/b", "/a/b/repo", "/a/b/repo/data"})
        EXPECT_THAT(synced, testing::Contains("fsync \"" + folder.path() + dir + "\""));
}

TEST(SftpHostile, WhatIsNoServer) {
    TestFolder folder;
    // Short only where it is to run out: on a busy machine every answer may be late.
    auto timeout = [](ErrorKind expected) {
        return std::chrono::seconds(expected == ErrorKind::timeout ? 2 : 60);
    };
    auto kind = [&](const std::string& command, ErrorKind expected) {
        auto backend = direct(command, folder / "r", timeout(expected));
        return expect_error(expected, [&] { backend->size({FileType::config}); });
    };
    Error error = kind("sh -c 'echo Welcome to this machine; cat'", ErrorKind::unsupported);
    EXPECT_THAT(error.message(), testing::HasSubstr("Welcome"));
    kind("no-such-program-here", ErrorKind::config);
    kind("false", ErrorKind::network);
    kind("cat", ErrorKind::unsupported);  // our own init comes back
    kind("sleep 1000", ErrorKind::timeout);
    // Version 3, then an answer to a request that nobody made, garbage, silence, or the end.
    auto script_kind = [&](const std::string& script, ErrorKind expected) {
        SftpBackend backend(
            folder / "r",
            {.command = {"sh", "-c", R"(printf '\0\0\0\005\002\0\0\0\003'; )" + script},
             .location = "sftp:test",
             .stall_timeout = timeout(expected)});
        return expect_error(expected, [&] { backend.size({FileType::config}); });
    };
    error = script_kind(R"(printf '\0\0\0\011\145\0\0\1\0\0\0\0\0'; cat >/dev/null)",
                        ErrorKind::network);
    EXPECT_THAT(error.message(), testing::HasSubstr("nobody asked"));
    error = script_kind(R"(printf '\177\0\0\011\145\0\0\1\0\0\0\0\0'; cat >/dev/null)",
                        ErrorKind::network);
    EXPECT_THAT(error.message(), testing::HasSubstr("length"));
    script_kind("cat >/dev/null", ErrorKind::timeout);
    error = script_kind("echo out of luck >&2", ErrorKind::network);
    EXPECT_THAT(error.message(), testing::HasSubstr("out of luck"));
}

TEST(SftpHostile, FullDiskIsNamed) {
    TestFolder folder;
    auto backend = direct(
        "sh -c 'trap \"\" XFSZ; ulimit -f 200; exec /usr/lib/openssh/sftp-server'", folder / "r");
    backend->create();
    // A file-size limit, not a full disk: a plain failure, and no temporary file stays.
    expect_error(ErrorKind::io,
                 [&] { backend->store(test_name(FileType::pack, 1), test_body(1 << 20, 1)); });
    for (const auto& entry : fs::recursive_directory_iterator(folder / "r"))
        EXPECT_FALSE(entry.is_regular_file()) << entry.path();
    backend->store(test_name(FileType::pack, 2), test_body(1000, 1));
}

}  // namespace
}  // namespace sevenfold::storage
