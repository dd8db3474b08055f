//! What a folder of each language holds, for each template.
