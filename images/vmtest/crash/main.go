// Command crash stands in for a redhen that does not start, in tests of updates.
package main

import "os"

func main() { os.Exit(1) }
