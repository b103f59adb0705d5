"""What follows the gate's report: publishing, shadow, promotion, watching, and the way back."""
