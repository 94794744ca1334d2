// The paper's anomalies: statements that cannot be true, or cannot have been meant.
#include <array>
#include <string_view>

#include "minbert/report/sections.h"

namespace minbert {
namespace {

struct Anomaly {
  std::string_view where, says, holds;
};

constexpr std::array<Anomaly, 15> kAnomalies = {{
    {"Section 1", "SST measures the similarity of two texts.", "STS does; SST is the sentiment task."},
    {"Section 3.3", "Algorithm 1 has the order of training.",
     "It is not printed. The text goes through Para, SST and STS in each epoch, which is what the order \"sequential\" does."},
    {"Equations 4 and 5", "Cross-entropies of the unnormalised predictions.", "They need a softmax and a sigmoid first."},
    {"Table 1", "STS has 6,041, 864 and 1,726 rows.", "Each count includes the header line: 6,040, 863 and 1,725 rows can be read."},
    {"Table 1", "SICK's labels are 0 to 5.", "They are 1 to 5, and are rescaled to 0 to 5 where they train a similarity."},
    {"Table 2", "The learning rate of fine-tuning is 0.001.",
     "At that rate a pretrained encoder is lost. The rate of the recipes is 1e-5, and 1e-3 for heads on a frozen encoder."},
    {"Table 2", "Hidden layers have dropout 0.3.",
     "Which ones is not said. In the recipes it is before the heads, and the encoder keeps the checkpoint's 0.1."},
    {"Table 3", "STFT has no feature.", "It is single-task fine-tuning, and its column should be ticked."},
    {"Table 4", "STFT's average is 0.235.", "The mean of 0.314, 0.392 and -0.055 is 0.217; 0.235 counts the correlation as 0."},
    {"Table 4", "STFT's Para accuracy is 0.392.",
     "Always answering \"no\" gives 0.62 to 0.63. Heads trained on a frozen encoder cannot stay below that unless something is wrong."},
    {"Section 6.1", "MTFT-D is the best model.", "Table 4 and section 8 have MTFT-D-STFT."},
    {"Section 6.2", "More dense layers in the STS head did not help.", "The layers were added to the SST head."},
    {"Section 7.1", "The middle class is guessed to minimise a squared error; Table 4 shows errors off by one.",
     "The task is trained with cross-entropy, and the table is Table 5."},
    {"Section 7.2", "There are about 50% more negative than positive pairs.",
     "On dev there are 66% more, and 70% in Table 6 (0.63 to 0.37)."},
    {"Section 8", "Pretraining on the tasks' own texts is better than on new ones.",
     "FP2 reads both. Only a model that reads the tasks' own texts alone can tell."},
}};

}  // namespace

Html anomalies_section(Sheets& sheets) {
  Sheet sheet{.file = "anomalies",
              .caption = "Where the paper contradicts itself or what can be, and how it is read here.",
              .columns = {"where", "what it says", "what holds"},
              .words = 3,
              .wraps = true};
  for (const Anomaly& anomaly : kAnomalies)
    sheet.rows.push_back({std::string(anomaly.where), std::string(anomaly.says), std::string(anomaly.holds)});
  return sheets.show(sheet);
}

}  // namespace minbert
