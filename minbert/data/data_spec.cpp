// Reads and writes sources of rows in TOML.
#include "minbert/data/data_spec.h"

#include "minbert/base/config_tree.h"

namespace minbert {
namespace {

/// True if only the path is set: it is then written as a plain string, as people write it.
bool is_path_alone(const DataSource& source) {
  return source.label.empty() && source.where.empty() && source.limit == 0 && !source.first && source.text.empty() &&
         source.text_pair.empty() && source.encoding.empty();
}

TomlValue any_of(TomlArray schemas) {
  TomlTable schema;
  schema.set("anyOf", std::move(schemas));
  return schema;
}

}  // namespace

std::string DataSpec::range_text() const {
  return takes_any_number() ? "any number" : fmt::format("{} to {}", label_range[0], label_range[1]);
}

void DataSpec::make_absolute(const std::filesystem::path& root) {
  for (auto* sources : {&train, &dev.files, &test.files, &exclude})
    for (DataSource& source : *sources) source.path = PathOption{source.path, source.folder}.resolve(root).string();
}

void OptionType<DataSource>::read(const TomlNode& node, DataSource& source) {
  source = {};
  source.folder = node.value().origin.folder;
  if (node.is<std::string>()) {
    source.path = node.as_string();
  } else if (node.is<TomlTable>()) {
    OptionReader reader(node);
    visit_options(reader, source);
    reader.refuse_unknown_keys();
  } else {
    node.fail(type());
  }
  if (source.path.empty()) node.fail("a path");
}

TomlValue OptionType<DataSource>::write(const DataSource& source) {
  if (is_path_alone(source)) return source.path;
  return without_defaults(write_options(source), write_options(DataSource{}));
}

TomlValue OptionType<DataSource>::schema() { return any_of({internal::schema_of("string"), options_schema<DataSource>()}); }

void OptionType<std::vector<DataSource>>::read(const TomlNode& node, std::vector<DataSource>& sources) {
  const auto items = node.is<TomlArray>() ? node.items() : std::vector<TomlNode>{node};
  sources.assign(items.size(), {});
  for (std::size_t i = 0; i < items.size(); ++i) OptionType<DataSource>::read(items[i], sources[i]);
}

TomlValue OptionType<std::vector<DataSource>>::write(const std::vector<DataSource>& sources) {
  if (sources.size() == 1 && is_path_alone(sources.front())) return sources.front().path;
  TomlArray items;
  for (const DataSource& source : sources) items.push_back(OptionType<DataSource>::write(source));
  return items;
}

TomlValue OptionType<std::vector<DataSource>>::schema() {
  TomlValue list = internal::schema_of("array");
  list.get_if<TomlTable>()->set("items", OptionType<DataSource>::schema());
  return any_of({OptionType<DataSource>::schema(), std::move(list)});
}

void OptionType<HeldOutSource>::read(const TomlNode& node, HeldOutSource& source) {
  source = {};
  if (!node.is<double>() && !node.is<std::int64_t>()) return OptionType<std::vector<DataSource>>::read(node, source.files);
  source.fraction = node.as_double();
  if (!(source.fraction > 0 && source.fraction < 1)) node.fail("files, or a fraction above 0 and below 1");
}

TomlValue OptionType<HeldOutSource>::write(const HeldOutSource& source) {
  if (source.fraction != 0) return source.fraction;
  return OptionType<std::vector<DataSource>>::write(source.files);
}

TomlValue OptionType<HeldOutSource>::schema() {
  return any_of({OptionType<std::vector<DataSource>>::schema(), internal::schema_of("number")});
}

}  // namespace minbert
