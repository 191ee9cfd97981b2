package main

import (
	"fmt"
	"html"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"redhen/images/layout"
)

// system is the box while it starts.
type system struct {
	root  fs.FS          // rooted at /
	found []layout.Fault // for redhen to tell
	fatal []string       // why redhen cannot run, for people
	lost  string         // GUID of the data disk that is not there
	move  *move          // redhen does not run while its data moves
}

// trouble notes what was found wrong, for redhen to tell: it runs all the same.
func (s *system) trouble(f layout.Fault) {
	s.found = append(s.found, f)
	log.Printf("fault: %+v", f)
}

// end notes, for people, why redhen cannot run. There is nobody else to tell them.
func (s *system) end(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.fatal = append(s.fatal, text)
	log.Print(text)
}

// keepTrouble leaves what was found for redhen to show.
func (s *system) keepTrouble() {
	if len(s.found) == 0 {
		return
	}
	if err := os.MkdirAll(filepath.Dir(layout.Trouble), 0o755); err != nil {
		log.Print(err)
		return
	}
	if err := os.WriteFile(layout.Trouble, layout.FaultFile(s.found), 0o644); err != nil {
		log.Print(err)
	}
}

// page answers every request with what is wrong, or what is being done, where redhen does not run.
func (s *system) page() {
	if len(s.fatal) == 0 && s.move == nil {
		return
	}
	srv := &http.Server{Addr: ":80", ReadHeaderTimeout: 15 * time.Second, Handler: s.only()}
	go func() { log.Print(srv.ListenAndServe()) }() // ends with the box
}

// only is the one page while redhen does not run.
func (s *system) only() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		title, said := "This box cannot run", s.fatal
		if s.move != nil {
			title, said = "This box moves", []string{s.move.sentence()}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><meta http-equiv=refresh content=10><title>redhen</title><h1>"+title+"</h1>")
		for _, text := range said {
			io.WriteString(w, "<p>"+html.EscapeString(text)+"</p>")
		}
	})
}

// release names the system that runs, for gokrazy's log.
func (s *system) release() string {
	b, err := layout.ReadSmall(s.root, strings.TrimPrefix(layout.AboutDir, "/")+"/"+layout.AboutFile)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// cmdline is the kernel's command line.
func (s *system) cmdline() string {
	b, err := fs.ReadFile(s.root, "proc/cmdline")
	if err != nil {
		log.Print(err)
	}
	return string(b)
}

func (s *system) slot() layout.Slot {
	slot, _ := layout.SlotOf(s.cmdline())
	return slot
}

// mountKernel mounts what is needed before gokrazy mounts the rest.
func mountKernel() {
	for _, m := range []string{"devtmpfs /dev", "proc /proc", "sysfs /sys"} {
		kind, where, _ := strings.Cut(m, " ")
		if err := syscall.Mount(kind, where, kind, 0, ""); err != nil && err != syscall.EBUSY {
			log.Printf("mount %s: %v", where, err)
		}
	}
}

// mountBoot mounts the FAT where settings come from and updates go to. A box runs
// without it.
func (s *system) mountBoot() {
	names, err := layout.RunningDisk(s.root)
	if err != nil {
		return // told already
	}
	// Changes of names are on the card one after the other: of a file that gets another
	// name, the new one leads to it before the old one is gone.
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC | syscall.MS_DIRSYNC
	err = syscall.Mount(names.Part(layout.BootPart), layout.BootDir, "vfat", flags, "umask=0077,flush")
	if err != nil {
		s.trouble(layout.Fault{Code: layout.NoSettings, Why: err.Error()})
	}
}
