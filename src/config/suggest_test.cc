#include "config/suggest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace sevenfold::config {
namespace {

TEST(Suggest, CountsEdits) {
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("exlude", "exclude"), 1u);
    EXPECT_EQ(edit_distance("palce", "place"), 1u);  // a swap
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Suggest, OffersOnlyWhatIsNear) {
    std::vector<std::string> words = {"exclude", "exclude_file", "every", "path"};
    EXPECT_EQ(nearest("exlude", words), "exclude");
    EXPECT_EQ(nearest("EVERY", words), "every");
    EXPECT_EQ(nearest("exclude-fil", words), "exclude_file");
    EXPECT_EQ(nearest("zzz", words), std::nullopt);
    EXPECT_EQ(nearest("", words), std::nullopt);
}

RC_GTEST_PROP(Suggest, IsAMetricOnSmallWords, (std::string a, std::string b)) {
    a.resize(std::min<size_t>(a.size(), 20));
    b.resize(std::min<size_t>(b.size(), 20));
    RC_ASSERT(edit_distance(a, b) == edit_distance(b, a));
    RC_ASSERT((edit_distance(a, b) == 0) == (a == b));
    RC_ASSERT(edit_distance(a, b) <= std::max(a.size(), b.size()));
}

}  // namespace
}  // namespace sevenfold::config
