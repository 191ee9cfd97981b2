package phone

import (
	"strings"
)

// lookAt logs in as "name:password", when that is given, and looks at pages.
func lookAt(p *phone, base, who, paths string) {
	p.t.Helper()
	if name, password, ok := strings.Cut(who, ":"); ok {
		p.open(base + "/login")
		p.sees("Log in")
		p.look("login")
		p.fill("login", name, "password", password)
		p.tap("Log in")
		p.sees("safe")
	}
	for _, path := range strings.Fields(paths) {
		p.open(base + path)
		p.settle()
		name := strings.Trim(strings.Map(func(r rune) rune {
			if strings.ContainsRune("/?%=&.", r) {
				return '-'
			}
			return r
		}, path), "-")
		if name == "" {
			name = "home"
		}
		p.look(name)
	}
}
