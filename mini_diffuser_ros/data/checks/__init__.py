"""What can be wrong with demonstrations: with a sentence, a keyframe, an episode, and with all episodes together.

The first two are looked at when something is recorded too, so that nothing is recorded that training would refuse.
"""

from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.checks.index import index_faults
from mini_diffuser_ros.data.checks.keyframes import check_keyframe, keyframe_faults
from mini_diffuser_ros.data.checks.words import check_sentences, sentence_faults

__all__ = ["Fault", "check_keyframe", "check_sentences", "index_faults", "keyframe_faults", "sentence_faults"]
