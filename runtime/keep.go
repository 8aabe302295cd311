package runtime

// Keeper is a Session that can keep the memory of its guest, and come back to it. It keeps one.
type Keeper interface {
	Keep()
	// Return goes back to the memory that was kept, or returns false if it cannot.
	Return() bool
}

// Keep keeps the memory as it is, for Return, or returns false if it cannot. A guest whose memory is kept takes twice as much.
func (g *Guest) Keep() bool {
	k, ok := g.session.(Keeper)
	if !ok || g.instance.module.IsClosed() {
		return false
	}
	k.Keep()
	g.keptLife = g.lives
	return true
}

// Return goes back to the memory that was kept in that life, or returns false if that is not there.
func (g *Guest) Return(life int) bool {
	k, ok := g.session.(Keeper)
	if !ok || life != g.keptLife || g.instance.module.IsClosed() || !k.Return() {
		return false
	}
	g.lives++
	g.fresh = false
	return true
}

// Lack says that the memory was made again without so many offsets that the plugin may look back on.
func (g *Guest) Lack(offsets int64) {
	g.plugin.log.Warn("the plugin remembers less than look_back, and may answer otherwise: more was in its memory than is kept, or too many records have cost it its memory",
		"plugin", g.plugin.name, "step", g.step, "offsets", offsets)
}
