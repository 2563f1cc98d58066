"""Chapter 1: from any medical question source to clean, leak-free, documented Samples."""
