#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/document.h"
#include "config/option_table.h"

namespace sevenfold::config {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

// A configuration that is right; tests put one thing into it that is not.
constexpr const char* kGood = R"([app]
name = "shop"
[[place]]
name = "main"
url = "/nowhere/main"
domain = "office"
password_file = "main.password"
[[place]]
name = "offsite"
url = "sftp:backup@vault:/srv"
domain = "hetzner"
password_command = "pass show offsite"
[[files]]
name = "uploads"
path = "/nowhere/uploads"
)";

Environment no_environment() {
    return [](const char*) -> const char* { return nullptr; };
}

Inspection inspect_this(const std::string& text, const std::string& path = "/etc/x/s.toml") {
    return inspect_text(text, path, no_environment());
}

class TempFolder {
  public:
    TempFolder() {
        std::string pattern = testing::TempDir() + "config-test-XXXXXX";
        path_ = fs::canonical(::mkdtemp(pattern.data()));
    }
    ~TempFolder() { fs::remove_all(path_); }
    std::string operator/(const std::string& name) const { return path_ / name; }

  private:
    fs::path path_;
};

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(Config, ReadsEverything) {
    Inspection found = inspect_this(R"([app]
name = "shop"
team = ["a@x", "b@x"]
state_dir = "st"
[[place]]
name = "main"
url = "repo/"
domain = "office"
password_file = "pw"
append_only = true
upload_limit = "1MiB"
download_limit = 2048
connections = 4
pack_size = "32MiB"
[[place]]
name = "off"
url = "sftp:u@h:/r"
password_command = "echo x"
ssh_options = ["-i", "key"]
[[place]]
name = "bucket"
url = "s3:https://h/b/p"
password_command = "echo x"
region = "eu-west-3"
credentials = "file:keys"
storage_class = { trees = "STANDARD", data = "STANDARD_IA" }
lock = "compliance:30d"
bucket_lookup = "dns"
ca_file = "ca.pem"
[[files]]
name = "uploads"
path = "../data"
every = "1h30m"
exclude = ["*.tmp"]
exclude_if_present = [".no"]
exclude_caches = true
one_file_system = true
exclude_larger_than = "1GiB"
min_files = 7
places = ["off", "main"]
tags = ["t"]
keep = { last = 4, daily = "all", within = "1y6m" }
[recovery]
rto = "2h"
[drill]
every = "weekly"
)");
    ASSERT_THAT(found.problems, IsEmpty()) << found.problems[0].text_with_place();
    const AppConfig& c = found.loaded.config;
    EXPECT_EQ(c.app.team, (std::vector<std::string>{"a@x", "b@x"}));
    EXPECT_EQ(c.app.state_dir, "/etc/x/st");
    const PlaceConfig& main = c.place("main");
    EXPECT_EQ(main.url, "/etc/x/repo");
    EXPECT_EQ(main.password_file, "/etc/x/pw");
    EXPECT_TRUE(main.append_only);
    EXPECT_EQ(main.upload_limit, 1u << 20);
    EXPECT_EQ(main.download_limit, 2048u);
    EXPECT_EQ(main.connections, 4u);
    EXPECT_EQ(main.pack_size, 32u << 20);
    EXPECT_EQ(c.place("off").failure_domain(), "off");
    EXPECT_EQ(c.place("off").ssh_options, (std::vector<std::string>{"-i", "key"}));
    const PlaceConfig& bucket = c.place("bucket");
    EXPECT_EQ(bucket.url, "s3:https://h/b/p");
    EXPECT_EQ(bucket.region, "eu-west-3");
    EXPECT_EQ(bucket.credentials, "file:/etc/x/keys");
    EXPECT_EQ(bucket.storage_class, "data=STANDARD_IA,trees=STANDARD");
    EXPECT_EQ(bucket.lock, "compliance:30d");
    EXPECT_EQ(bucket.bucket_lookup, "dns");
    EXPECT_EQ(bucket.ca_file, "/etc/x/ca.pem");
    const FilesConfig& files = c.source("uploads");
    EXPECT_EQ(files.path, "/etc/data");
    EXPECT_EQ(files.every, std::chrono::minutes(90));
    EXPECT_EQ(files.exclude_larger_than, 1u << 30);
    EXPECT_EQ(files.min_files, 7u);
    EXPECT_EQ(files.places, (std::vector<std::string>{"off", "main"}));
    EXPECT_EQ(files.keep.last, 4);
    EXPECT_EQ(files.keep.daily, kKeepAll);
    EXPECT_EQ(files.keep.within, "1y6m");
    EXPECT_EQ(c.recovery.rto, std::chrono::hours(2));
    EXPECT_EQ(c.drill.every, "weekly");
    EXPECT_THAT(found.loaded.warnings, IsEmpty());
}

TEST(Config, DefaultsOfTheTableAndOfTheStructsAgree) {
    Inspection found = inspect_this(kGood);
    ASSERT_THAT(found.problems, IsEmpty()) << found.problems[0].text;
    const AppConfig& c = found.loaded.config;
    EXPECT_EQ(c.places[0].pack_size, PlaceConfig{}.pack_size);
    EXPECT_EQ(c.files[0].every, FilesConfig{}.every);
    EXPECT_EQ(c.files[0].min_files, FilesConfig{}.min_files);
    EXPECT_EQ(c.recovery.rto, RecoverySection{}.rto);
    EXPECT_EQ(c.recovery.rpo, RecoverySection{}.rpo);
    EXPECT_EQ(c.drill.every, DrillSection{}.every);
    EXPECT_TRUE(c.files[0].keep.keeps_everything());
    EXPECT_EQ(c.files[0].places, (std::vector<std::string>{"main", "offsite"}));
    EXPECT_EQ(c.app.state_dir, "/var/lib/sevenfold");
    EXPECT_EQ(inspect_this(kGood, "/home/x/s.toml").loaded.config.app.state_dir, "/home/x/state");
}

struct Bad {
    const char* name;
    std::string text;
    int line;
    const char* message;
    const char* hint;
};

std::string replaced(const std::string& from, const std::string& to) {
    std::string text = kGood;
    size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return text.replace(at, from.size(), to);
}
std::string with(const std::string& more) { return kGood + more; }

class BadConfig : public testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsRefusedWithItsLine) {
    const Bad& bad = GetParam();
    Inspection found = inspect_this(bad.text);
    ASSERT_FALSE(found.problems.empty());
    EXPECT_EQ(found.problems[0].line, bad.line) << found.problems[0].text;
    EXPECT_THAT(found.problems[0].text, HasSubstr(bad.message));
    EXPECT_THAT(found.problems[0].hint, HasSubstr(bad.hint));
    // The same through load(), as the program meets it: exit code 2.
    TempFolder folder;
    write_file(folder / "s.toml", bad.text);
    try {
        load(folder / "s.toml", no_environment());
        ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::config);
        EXPECT_EQ(exit_code(error.kind()), 2);
        std::string place = "s.toml:" + (bad.line > 0 ? std::to_string(bad.line) : "");
        EXPECT_THAT(error.message(), HasSubstr(place));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadConfig,
    testing::Values(
        Bad{"UnknownKey", with("exlude = [\"x\"]\n"), 16, "unknown key exlude in [[files]]",
            "Did you mean `exclude`?"},
        Bad{"UnknownSection", with("[[plase]]\nname = \"x\"\n"), 16, "unknown section plase",
            "Did you mean `place`?"},
        Bad{"KeyOfAnotherSection", with("append_only = true\n"), 16, "unknown key append_only",
            "It belongs into [[place]]"},
        Bad{"KeyOutsideOfSections", "every = \"1h\"\n" + std::string(kGood), 1,
            "every stands outside", "[[files]]"},
        Bad{"UnknownKeepKey", with("keep = { dayly = 3 }\n"), 16, "unknown key dayly", "`daily`"},
        Bad{"InlinePassword",
            replaced("password_command = \"pass show offsite\"", "password = \"s\""), 12,
            "unknown key password", "do not belong here"},
        Bad{"Replica", with("[[database]]\nname = \"main\"\nreplica = {}\n"), 18,
            "does not look after replicas yet", "Remove the line"},
        Bad{"HostAndSocket", with("[[database]]\nname = \"main\"\nhost = \"h\"\nsocket = \"/s\"\n"),
            19, "both host and socket", "Keep one"},
        Bad{"TlsOnASocket", with("[[database]]\nname = \"main\"\ntls = \"verified\"\n"), 18,
            "stays on this machine", ""},
        Bad{"DatabaseNamedAsFiles", with("[[database]]\nname = \"uploads\"\n"), 16,
            "are called 'uploads'", ""},
        Bad{"UnknownSecondPlace", with("[[database]]\nname = \"main\"\nstream_second = \"mars\"\n"),
            18, "unknown place 'mars'", ""},
        Bad{"UnknownDriver", with("[[database]]\nname = \"main\"\ndriver = \"dbase\"\n"), 18,
            "driver in [[database]] cannot be", "mariadb"},
        Bad{"Volume", with("[[volume]]\nname = \"root\"\n"), 16, "does not protect volumes yet",
            ""},
        Bad{"Bucket", replaced("path = \"/nowhere/uploads\"", "url = \"s3:x\""), 15,
            "url is not a bucket's", "s3:https://host/bucket/prefix"},
        Bad{"TextForNumber", replaced("domain = \"hetzner\"", "connections = \"many\""), 11,
            "connections in [[place]] must be a whole number", "For example: connections = 4"},
        Bad{"NumberForText", replaced("name = \"shop\"", "name = 7"), 2,
            "must be a text in quotes, not 7", ""},
        Bad{"NegativeNumber", replaced("domain = \"hetzner\"", "connections = -1"), 11, "not -1",
            ""},
        Bad{"TextForList", with("exclude = \"*.tmp\"\n"), 16, "must be a list of texts", ""},
        Bad{"MixedList", with("exclude = [\"a\", 3]\n"), 16, "must be a list of texts", ""},
        Bad{"TextForBoolean", with("exclude_caches = \"yes\"\n"), 16, "must be true or false", ""},
        Bad{"BadDuration", with("every = \"soon\"\n"), 16, "must be a duration", "every = \"15m\""},
        Bad{"DurationWithoutUnit", with("every = 15\n"), 16, "must be a duration", ""},
        Bad{"ZeroDuration", with("every = \"0s\"\n"), 16, "longer than nothing", ""},
        Bad{"BadSize", with("exclude_larger_than = \"big\"\n"), 16, "must be a size", ""},
        Bad{"BadKeep", with("keep = 3\n"), 16, "keep in [[files]] must be a table", "keep = {"},
        Bad{"BadSpan", with("keep = { within = \"2w\" }\n"), 16, "must be a calendar span", "14d"},
        Bad{"BadWord", with("[drill]\nevery = \"sometimes\"\n"), 17, "cannot be \"sometimes\"",
            "weekly, monthly, quarterly"},
        Bad{"SinglePlaceBrackets", "[app]\nname = \"x\"\n[place]\nname = \"a\"\n", 3,
            "must be written [[place]]", "Double brackets"},
        Bad{"RepeatedApp", "[[app]]\nname = \"x\"\n", 1, "app must be a section", "[app]"},
        Bad{"NoName", replaced("name = \"shop\"", ""), 1, "[app] has no name", "Add name"},
        Bad{"NoUrl", replaced("url = \"/nowhere/main\"", ""), 3, "[[place]] has no url", ""},
        Bad{"OddName", replaced("name = \"offsite\"", "name = \"../x\""), 9,
            "cannot be a place's name", "letters"},
        Bad{"SamePlaceTwice", replaced("name = \"offsite\"", "name = \"main\""), 8,
            "two [[place]] are called 'main' (the other is in line 3)", ""},
        Bad{"SameSourceTwice", with("[[files]]\nname = \"uploads\"\npath = \"/nowhere/b\"\n"), 16,
            "two [[files]] are called", ""},
        Bad{"UnknownPlace", with("places = [\"main\", \"ofsite\"]\n"), 16, "unknown place 'ofsite'",
            "`offsite`"},
        Bad{"PlaceNamedTwice", with("places = [\"main\", \"main\"]\n"), 16, "named twice", ""},
        Bad{"NoPlacesListed", with("places = []\n"), 16, "has no places", ""},
        Bad{"TwoPasswords", replaced("domain = \"hetzner\"", "password_file = \"x\""), 12,
            "both password_file and password_command", ""},
        Bad{"NoPassword", replaced("password_command = \"pass show offsite\"", ""), 8,
            "has no password", "SEVENFOLD_PASSWORD_OFFSITE"},
        Bad{"SmallPacks", replaced("domain = \"hetzner\"", "pack_size = \"1MiB\""), 11, "from 4MiB",
            ""},
        Bad{"LaterScheme", replaced("sftp:backup@vault:/srv", "b2:x:y"), 10,
            "does not store at b2: places yet", "sftp:user@host"},
        Bad{"BucketOptionElsewhere", replaced("domain = \"hetzner\"", "storage_class = \"X\""), 11,
            "storage_class is for s3: places only", ""},
        Bad{"LockElsewhere", replaced("domain = \"hetzner\"", "lock = \"compliance:30d\""), 11,
            "lock is for s3: places only", ""},
        Bad{"LockOfNoMode", replaced("domain = \"hetzner\"", "lock = \"30d\""), 11, "lock is", ""},
        Bad{"StorageClassOfNoKind",
            replaced("domain = \"hetzner\"", "storage_class = { packs = \"X\" }"), 11,
            "storage_class in [[place]] must be a text in quotes, or a table", "storage_class = {"},
        Bad{"BucketLookup", replaced("domain = \"hetzner\"", "bucket_lookup = \"x\""), 11,
            "bucket_lookup", "auto, dns, path"},
        Bad{"OddScheme", replaced("sftp:backup@vault:/srv", "ftp:x"), 10,
            "unknown kind of place ftp:", ""},
        Bad{"SameUrl", replaced("sftp:backup@vault:/srv", "/nowhere/../nowhere/main/"), 10,
            "are the same repository", "Two places"},
        Bad{"PlaceInSource", replaced("/nowhere/main", "/nowhere/uploads/repo"), 5,
            "place main lies inside source uploads", "do not contain each other"},
        Bad{"PlaceIsSource", replaced("/nowhere/main", "/nowhere/uploads"), 5, "lies inside", ""},
        Bad{"SourceInPlace", replaced("/nowhere/uploads", "/nowhere/main/x"), 15,
            "source uploads lies inside place main", ""},
        Bad{"PlaceInPlace", replaced("sftp:backup@vault:/srv", "/nowhere/main/data"), 10,
            "place offsite lies inside place main", ""},
        Bad{"MissingExcludeFile", with("exclude_file = [\"no/such\"]\n"), 16, "does not exist", ""},
        Bad{"TagWithComma", with("tags = [\"a,b\"]\n"), 16, "cannot be a tag", ""},
        Bad{"NoPlaces", "[app]\nname = \"x\"\n", 0, "no [[place]]", ""},
        Bad{"Truncated", std::string(kGood).substr(0, 100), 7, "not valid TOML", "cut off"},
        Bad{"KeyTwice", with("path = \"/y\"\n"), 16, "not valid TOML", ""},
        Bad{"NotToml", "{\"app\": 1}\n", 1, "not valid TOML", ""}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Config, EveryTruncationIsRefusedOrWhole) {
    const std::string text = kGood;
    for (size_t size = 0; size < text.size(); ++size) {
        Inspection found = inspect_this(text.substr(0, size));
        // Cut inside the last section's last value it is refused, too; only whole lines may pass.
        if (found.problems.empty()) {
            EXPECT_EQ(size, text.size() - 1) << text.substr(0, size);
        }
    }
}

TEST(Config, LinksAndRelativePathsAreSeenThrough) {
    TempFolder folder;
    fs::create_directories(folder / "data/sub");
    fs::create_directory_symlink(folder / "data", folder / "link");
    std::string text =
        "[app]\nname = \"x\"\n[[place]]\nname = \"p\"\nurl = \"link/sub/../repo\"\n"
        "password_command = \"x\"\n[[files]]\nname = \"f\"\npath = \"./data/\"\n";
    Inspection found = inspect_this(text, folder / "s.toml");
    ASSERT_EQ(found.problems.size(), 1u);
    EXPECT_EQ(found.problems[0].line, 5);
    EXPECT_THAT(found.problems[0].text, HasSubstr("place p lies inside source f"));
}

TEST(Config, NeighboursWithACommonBeginningAreNotInsideEachOther) {
    EXPECT_THAT(inspect_this(replaced("/nowhere/main", "/nowhere/uploads-backup")).problems,
                IsEmpty());
}

TEST(Config, OnePlaceOrOneDomainIsAWarning) {
    Inspection one = inspect_this(with("places = [\"main\"]\n"));
    EXPECT_THAT(one.problems, IsEmpty());
    ASSERT_EQ(one.loaded.warnings.size(), 1u);
    EXPECT_THAT(one.loaded.warnings[0].text, HasSubstr("only one place, main"));
    EXPECT_EQ(one.loaded.warnings[0].line, 16);
    Inspection same = inspect_this(replaced("hetzner", "office"));
    ASSERT_EQ(same.loaded.warnings.size(), 1u);
    EXPECT_THAT(same.loaded.warnings[0].text, HasSubstr("in the domain office"));
}

TEST(Config, ReadableFileWithSecretsIsAWarning) {
    TempFolder folder;
    write_file(folder / "s.toml", kGood);
    ASSERT_EQ(::chmod((folder / "s.toml").c_str(), 0644), 0);
    LoadedConfig open = load(folder / "s.toml", no_environment());
    ASSERT_EQ(open.warnings.size(), 1u);
    EXPECT_THAT(open.warnings[0].text, HasSubstr("can be read by everybody (mode 0644)"));
    ASSERT_EQ(::chmod((folder / "s.toml").c_str(), 0600), 0);
    EXPECT_THAT(load(folder / "s.toml", no_environment()).warnings, IsEmpty());
}

TEST(Config, EnvironmentOverridesTheFileAndSettingsSayWhereFrom) {
    Environment environment = [](const char* name) -> const char* {
        return std::string_view(name) == "SEVENFOLD_RTO" ? "90m" : nullptr;
    };
    Inspection found =
        inspect_text(std::string(kGood) + "[recovery]\nrto = \"1h\"\n", "s.toml", environment);
    ASSERT_THAT(found.problems, IsEmpty());
    EXPECT_EQ(found.loaded.config.recovery.rto, std::chrono::minutes(90));
    bool seen_env = false, seen_file = false, seen_default = false;
    for (const Setting& s : found.loaded.settings) {
        seen_env |= s.key == "rto" && s.origin == "$SEVENFOLD_RTO" && s.value == "\"1h30m\"";
        seen_file |= s.section == "place main" && s.key == "url" && s.line == 5;
        seen_default |= s.section == "files uploads" && s.key == "every" && s.origin == "default";
    }
    EXPECT_TRUE(seen_env && seen_file && seen_default);
    Inspection bad = inspect_text(kGood, "s.toml", [](const char* name) -> const char* {
        return std::string_view(name) == "SEVENFOLD_RTO" ? "soon" : nullptr;
    });
    ASSERT_FALSE(bad.problems.empty());
    EXPECT_THAT(bad.problems[0].text, HasSubstr("rto from $SEVENFOLD_RTO must be a duration"));
}

TEST(Config, PasswordMayComeFromTheEnvironment) {
    Inspection found = inspect_text(
        replaced("password_command = \"pass show offsite\"", ""), "/s.toml",
        [](const char* name) -> const char* {
            return std::string_view(name) == "SEVENFOLD_PASSWORD_OFFSITE" ? "x" : nullptr;
        });
    EXPECT_THAT(found.problems, IsEmpty());
    EXPECT_EQ(password_variable("off-site.2"), "SEVENFOLD_PASSWORD_OFF_SITE_2");
}

TEST(Config, PasswordsInUrlsAreNotShown) {
    EXPECT_EQ(redacted("rest:https://u:s3cret@host/x"), "rest:https://u:***@host/x");
    EXPECT_EQ(redacted("sftp://u:pa@ss/w@host//x"), "sftp://u:***@host//x");
    EXPECT_EQ(redacted("sftp:user@host:/x"), "sftp:user@host:/x");
    EXPECT_EQ(redacted("/a:b@c"), "/a:b@c");
    Inspection found = inspect_this(replaced("sftp:backup@vault:/srv", "sftp://u:s3cret@host//x"));
    for (const Setting& s : found.loaded.settings) EXPECT_THAT(s.value, Not(HasSubstr("s3cret")));
}

TEST(Config, MissingFileIsAConfigError) {
    try {
        load("/nowhere/at/all.toml");
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::config);
        EXPECT_THAT(error.message(), HasSubstr("/nowhere/at/all.toml"));
        EXPECT_THAT(error.hint(), HasSubstr("sevenfold init"));
    }
    EXPECT_THROW(load("/tmp"), Error);
}

TEST(Config, UnknownNamesGetTheNearestOne) {
    AppConfig config = inspect_this(kGood).loaded.config;
    try {
        config.source("upload");
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        EXPECT_THAT(error.hint(), HasSubstr("`uploads`"));
    }
}

TEST(Document, SampleIsValidAndNamesEveryOption) {
    Inspection found = inspect_this(sample_config());
    ASSERT_THAT(found.problems, IsEmpty()) << found.problems[0].text_with_place();
    for (const Option& option : all_options())
        if (option.section != "keep") {
            EXPECT_THAT(sample_config(), HasSubstr(std::string(option.key) + " = ")) << option.key;
        }
}

TEST(Document, ExamplesAndDefaultsHaveTheRightType) {
    for (const Option& option : all_options()) {
        std::string prefix = option.section == "keep" ? "keep." : "";
        std::string line = fmt::format("{}{} = {}\n", prefix, option.key, option.example);
        if (option.section != "files" && option.section != "keep") continue;
        if (option.required || option.key == "exclude_file") continue;
        // What is for buckets only, and what is for folders only.
        constexpr std::string_view kOfBuckets[] = {"url",           "region",  "credentials",
                                                   "bucket_lookup", "ca_file", "connections"};
        if (option.key == "path") continue;
        std::string text = with(line);
        if (std::ranges::find(kOfBuckets, option.key) != std::end(kOfBuckets)) {
            text = replaced("path = \"/nowhere/uploads\"",
                            option.key == "url" ? line : "url = \"s3:https://h/b\"\n" + line);
        }
        Inspection found = inspect_this(text);
        EXPECT_THAT(found.problems, IsEmpty()) << line << found.problems[0].text;
    }
}

TEST(Document, OptionalSectionsThatAreNotGivenAreComments) {
    std::string text = write_config({{"app", {{"name", "\"x\""}}}});
    Inspection found = inspect_this(text);
    ASSERT_EQ(found.problems.size(), 2u);  // nothing but what is missing
    EXPECT_THAT(found.problems[0].text, HasSubstr("no [[place]]"));
    EXPECT_THAT(found.problems[1].text, HasSubstr("no [[files]]"));
}

TEST(Document, ManualPageIsUpToDate) {
    std::ifstream file(SEVENFOLD_SOURCE_DIR "/docs/manual/configuration.md");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(text, manual_page())
        << "renew it: sevenfold config manual > docs/manual/configuration.md";
}

}  // namespace
}  // namespace sevenfold::config
