"""How hard a question about a video is: five ratings, their mean D, and the token budget that follows from it.

The rating by a model (`rater`) and its cache (`cache`) are not imported here, so that the numbers can be used without a model.
"""

from videoseg_r1.difficulty.levels import NEUTRAL, RATINGS, TIERS, Difficulty, Tier, Tiers, difficulty_of, tier_of, tiers_of, token_budget

__all__ = ["NEUTRAL", "RATINGS", "TIERS", "Difficulty", "Tier", "Tiers", "difficulty_of", "tier_of", "tiers_of", "token_budget"]
