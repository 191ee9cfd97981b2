// Package levels has only tests: a circle of real processes in which some boxes run the
// release that is and some the one to come, and the way from one to the other and back.
package levels
