// Hashes and counts the rows of a run.
#include "minbert/train/data_report.h"

#include "minbert/base/hash.h"

namespace minbert {

std::string data_digest(const RunSetup& setup) {
  Sha256 digest;
  const auto update = [&](const TokenizedRows& rows) {
    digest.update(std::as_bytes(std::span(rows.ids)));
    digest.update(std::as_bytes(std::span(rows.offsets)));
    digest.update(std::as_bytes(std::span(rows.labels)));
  };
  for (const TaskData& task : setup.tasks) {
    update(task.train);
    update(task.dev);
    update(task.test);
  }
  for (const MlmCorpus& corpus : setup.mlm) {
    update(corpus.train);
    for (const MlmSource& source : corpus.sources) update(source.held_out);
  }
  for (const auto& sources : setup.contrastive)
    for (const ContrastiveTexts& texts : sources) {
      update(texts.rows);
      digest.update(std::as_bytes(std::span(texts.groups)));
    }
  for (const auto& tasks : setup.unlabelled)
    for (const auto& [task, texts] : tasks) update(texts.with_train);
  digest.update(std::as_bytes(std::span(setup.models)));
  return digest.hex();
}

Json corpus_json(const MlmCorpus& corpus) {
  Json json = Json::object();
  for (const MlmSource& source : corpus.sources) {
    const auto& offsets = corpus.train.offsets;
    const std::int64_t tokens = offsets[static_cast<std::size_t>(source.end)] - offsets[static_cast<std::size_t>(source.begin)];
    json[source.name] = {{"probe", source.probe},
                         {"read", source.read},
                         {"used", source.end - source.begin},
                         {"empty", source.empty},
                         {"held_out", source.set_aside},
                         {"repeated", source.repeated},
                         {"truncated", source.truncated},
                         {"tokens", tokens},
                         {"held_out_tokens", source.held_out.ids.size()}};
  }
  return json;
}

Json contrastive_json(std::span<const ContrastiveTexts> sources) {
  Json json = Json::object();
  for (const ContrastiveTexts& texts : sources)
    json[texts.name] = {{"rows", texts.rows.rows()},
                        {"pairs", texts.rows.per_row == 2},
                        {"tokens", texts.rows.ids.size()},
                        {"truncated", texts.rows.truncated}};
  return json;
}

std::map<std::string, std::string> read_digests(const std::filesystem::path& run, const std::string& split) {
  std::map<std::string, std::string> digests;
  const std::filesystem::path file = run / "data.json";
  if (!std::filesystem::exists(file)) return digests;
  for (const auto& [task, splits] : JsonNode::read(file, ErrorTag::kData).members())
    if (const auto rows = splits.find(split))
      if (const auto digest = rows->find("sha256")) digests[task] = digest->as_text();
  return digests;
}

Json data_json(const RunSetup& setup, const RunConfig& config) {
  Json json = Json::object();
  for (const TaskData& task : setup.tasks) {
    json[task.spec.name] = task.rows.reports;
    for (const auto& [split, tokens] : {std::pair("train", &task.train), {"dev", &task.dev}, {"test", &task.test}})
      if (json[task.spec.name].contains(split))
        json[task.spec.name][split].update({{"tokens", tokens->ids.size()}, {"truncated", tokens->truncated}});
    for (const Split split : {Split::kTrain, Split::kDev, Split::kTest})
      if (const auto name = std::string(split_name(split)); json[task.spec.name].contains(name))
        json[task.spec.name][name]["sha256"] = rows_digest(task.rows.split(split));
  }
  for (const TaskData& corpus : setup.corpora) json[corpus.spec.name] = corpus.rows.reports;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const StageSpec& stage = config.stages[i];
    if (stage.mlm) json[std::string(kMlmName)][stage.name] = corpus_json(setup.mlm[i]);
    if (stage.contrastive) json[std::string(kContrastiveName)][stage.name] = contrastive_json(setup.contrastive[i]);
    for (const auto& [task, texts] : setup.unlabelled[i])
      json[task][stage.name + ".unlabelled"] = {{"read", texts.read},
                                                {"used", texts.rows.size()},
                                                {"skipped", texts.read - std::ssize(texts.rows)},
                                                {"tokens", texts.tokens},
                                                {"truncated", texts.truncated}};
  }
  return json;
}

}  // namespace minbert
