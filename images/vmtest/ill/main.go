// Command ill stands in for a redhen that runs and is never healthy, in tests of updates.
package main

import (
	"net/http"
	"os"
)

func main() {
	ill := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "ill", http.StatusServiceUnavailable)
	})
	if err := http.ListenAndServe(":80", ill); err != nil {
		os.Exit(1)
	}
}
