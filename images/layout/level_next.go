//go:build redhen_next

package layout

// Level is that of a release to come, for tests of circles with two releases.
const Level = 2
