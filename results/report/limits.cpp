// What the numbers of this benchmark do not mean, in plain words.

#include "results/report/parts.hpp"

namespace arena {

std::string limits_html() {
  return R"html(<h3>What these numbers do not show</h3>
<ul class="limits">
<li>Times hold for this machine, this compiler and these shapes. Ratios between variants change with
the length, the width of a head and the number of threads; the order need not be that of a GPU.</li>
<li>Small models trained for few steps: a variant that learns slowly and one that cannot learn look
alike. Accuracy is not a forecast for a large model or for pretraining on language, where rank on
such tasks has been found not to carry over.</li>
<li>Every variant gets the same depth, width, schedule and learning rate (in preset
<code>paper</code> also the best of three). One that needs other settings is shown below its
best.</li>
<li>About 36 % on ListOps is what reading the first operator gives, and 17 % is a constant answer.
Text and retrieval are largely solved by short-range features. Compare with the rows of chance and
shortcuts first; NOT_LEARNED marks what is not above the best constant.</li>
<li>The error figure is the rounding error of each variant against its own formula, not its distance
from softmax attention. How well it stands in for that is seen in the accuracies only.</li>
<li>Workspace is counted exactly and repeats; the peak of the process also holds the program, its
libraries and the buffers of the system.</li>
</ul>
<h3>Where the protocol differs from Long Range Arena's</h3>
<ul class="limits">
<li>Sequences have their true length: no padding takes part in attention, pooling or speed. There,
sequences are padded to the maximum, and black pixels count as padding in the image tasks.</li>
<li>The whole test split is scored; there, an incomplete last batch is dropped.</li>
<li>Examples are shuffled anew in each epoch, from the seed; there, some tasks shuffle whole batches,
so that a batch keeps its members.</li>
<li>The weights that are best on validation are tested, and the last ones beside them; there, the last
are reported, and on Text the validation split is the test split, on which the best of four lengths
was chosen. Here a part of training is held out, and the length stands in the task's name.</li>
<li>Several seeds with mean and deviation; there, one seed.</li>
<li>Generated tasks follow the published generators, checked against their statistics; CIFAR-10 and
Pathfinder have a fixed split of their own, because the original order cannot be rebuilt.</li>
<li>ListOps keeps its brackets as tokens. Before March 2021 the original dropped the closing ones, and
older results, those of the paper among them, come from that.</li>
<li>Each variant is the mechanism of its paper. In the original code local and Sinkhorn attention are
strided, Longformer is dense attention under a mask, and some options never reach the model.</li>
<li>Depth, width and heads are the same for all variants of a task; there, they differ on Image and
Pathfinder. Speed is measured on a CPU; there, on 16 TPU cores.</li>
</ul>
)html";
}

}  // namespace arena
