"""The ten dog breeds of Imagewoof among ImageNet's 1,000 classes."""

_BREEDS = (
    ("n02086240", "shih_tzu", 155),
    ("n02087394", "rhodesian_ridgeback", 159),
    ("n02088364", "beagle", 162),
    ("n02089973", "english_foxhound", 167),
    ("n02093754", "border_terrier", 182),
    ("n02096294", "australian_terrier", 193),
    ("n02099601", "golden_retriever", 207),
    ("n02105641", "old_english_sheepdog", 229),
    ("n02111889", "samoyed", 258),
    ("n02115641", "dingo", 273),
)

IMAGENET_IDS: dict[str, int] = {
    folder: number for wordnet_id, name, number in _BREEDS for folder in (wordnet_id, name)
}
"""ImageNet's class id, in [0, 1000), by folder name: the WordNet id or the breed."""
