"""Cases: reports, assets and selectors worked on together by named people. What they hold is theirs to see."""
