// Package clients has only tests: redhen as the world meets it. Boxes are real
// processes on real disks, the programs that use them are those that people use, and
// what goes wrong (a plug that is pulled, a full disk, a flipped byte) goes wrong
// for real. Under the race detector, and with -short, only the quick ones run.
package clients
