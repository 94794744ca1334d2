// Numbers and names as text, in the forms that the report uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

/// Four decimals; empty for NaN and infinities.
std::string score_text(double value);
/// A fixed number of decimals; empty for NaN and infinities.
std::string fixed_text(double value, int decimals);
/// As fixed_text, without trailing zeros.
std::string number_text(double value, int decimals);
/// "12 %"
std::string percent(double share);
/// part / whole with three decimals, empty when whole is 0.
std::string share_text(std::int64_t part, std::int64_t whole);
/// 1234567 as 1,234,567
std::string count_text(std::int64_t value);
/// "1 row", "2 rows"
std::string counted(std::int64_t value, std::string_view one, std::string_view many);
/// "a, b, c"; for more than `most` names, "a, b and 3 more".
std::string list_text(const std::vector<std::string>& names, std::size_t most = static_cast<std::size_t>(-1));
/// "3.5 s", "2 min 10 s", "1 h 5 min"
std::string duration_text(double seconds);
/// "1.2 GB"; a GB has 10^9 bytes.
std::string memory_text(std::int64_t bytes);
/// The name of a metric as people say it: "macro F1" for macro_f1.
std::string spoken(std::string_view key);
/// A value of a JSON object as text; empty when it is absent or null.
std::string json_text(const Json& object, std::string_view key);
/// At most `length` code points, then an ellipsis.
std::string shortened(const std::string& text, std::size_t length);

}  // namespace minbert
