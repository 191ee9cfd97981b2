// Command init is the first program that runs on a box. It makes the data partition at
// the first start, has gokrazy set the system up, watches a slot that is on trial, and
// runs redhen. What goes wrong on the way becomes a sentence on a page, never a loop of
// restarts.
package main

import (
	"errors"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/gokrazy/gokrazy"

	"redhen/board/driver"
	"redhen/images/layout"
)

// programs of the image.
const (
	program = "/user/redhen"
	self    = "/gokrazy/init"
	modules = "/gokrazy/" // folder of gokrazy's own programs
)

func main() {
	if asked, err := driver.AsModprobe(os.Args[1:]); asked {
		if err != nil {
			os.Exit(1) // most of what the kernel asks for is built in, or for other machines
		}
		return
	}
	if os.Getpid() != 1 {
		log.Fatal("init: this program starts a box and can do nothing else")
	}
	log.SetFlags(0)
	log.SetPrefix("redhen init: ")
	begin := time.Now()
	mountKernel()
	s := &system{root: os.DirFS("/")}
	s.prepareData()
	if err := gokrazy.Boot(s.release()); err != nil {
		s.trouble(layout.Fault{Code: layout.NotSetUp, Why: err.Error()})
	}
	s.mountBoot()
	loadDrivers()
	s.dataIsThere()
	s.dataDisk()
	s.keepTrouble()
	s.setClock()
	go noteClock() // ends with the box
	if s.move == nil {
		go s.guard() // the same
	}
	services := s.services()
	log.Printf("up in %v, slot %s", time.Since(begin).Round(time.Millisecond), s.slot())
	if err := gokrazy.SuperviseServices(services); err != nil {
		log.Printf("supervise: %v", err)
	}
	s.page()
	if s.move != nil {
		s.move.run()
	}
	s.awaitDisk()
	select {}
}

// loadDrivers loads those of the radios. The kernel asks for further parts of them, and
// gets them from this program.
func loadDrivers() {
	if err := driver.Register(self); err != nil {
		log.Print(err)
	}
	for _, name := range driver.Wifi() {
		if err := driver.Load(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Print(err)
		}
	}
}

// services are what runs on a box. Without a place for data there is no redhen: it
// would take itself for a new box.
func (s *system) services() []*gokrazy.Service {
	var all []*gokrazy.Service
	for _, name := range []string{"randomd", "dhcp", "ntp"} {
		all = append(all, gokrazy.NewService(exec.Command(modules+name)))
	}
	if len(s.fatal) > 0 || s.move != nil {
		return all
	}
	cmd := exec.Command(program, "run", "--state", layout.StateDir, "--http", ":80", "--boot", layout.BootDir, "--wifi")
	if d := layout.PromoteOf(s.cmdline()); d > 0 {
		cmd.Args = append(cmd.Args, "--promote-after", d.String())
	}
	cmd.Env = append(os.Environ(), "REDHEN_STATE="+layout.StateDir, "HOME="+layout.StateDir)
	return append(all, gokrazy.NewService(cmd))
}
